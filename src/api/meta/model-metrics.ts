import { Counter, type Registry } from 'prom-client';
import type { ModelUse } from '../../engine/runs/run-observer.ts';

/** What the nodes of this process have used of models. */
export class ModelMetrics {
  readonly #calls: Counter<'graph' | 'model'>;
  readonly #tokens: Counter<'graph' | 'model' | 'kind'>;
  readonly #cost: Counter<'graph' | 'model'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#calls = new Counter({
      name: 'baton_model_calls_total',
      help: 'Calls of models by nodes',
      labelNames: ['graph', 'model'],
      registers,
    });
    this.#tokens = new Counter({
      name: 'baton_model_tokens_total',
      help: 'Tokens of these calls; those from and to the cache are among the input, too',
      labelNames: ['graph', 'model', 'kind'],
      registers,
    });
    this.#cost = new Counter({
      name: 'baton_model_cost_usd_total',
      help: 'What these calls cost by list price, without those whose price is not known',
      labelNames: ['graph', 'model'],
      registers,
    });
  }

  called(graph: string, { model, tokens, cost }: ModelUse): void {
    const labels = { graph, model: model ?? 'unknown' };
    this.#calls.inc(labels);
    this.#tokens.inc({ ...labels, kind: 'input' }, tokens.input_tokens);
    this.#tokens.inc({ ...labels, kind: 'output' }, tokens.output_tokens);
    this.#tokens.inc({ ...labels, kind: 'cache_read' }, tokens.cache_read_tokens);
    this.#tokens.inc({ ...labels, kind: 'cache_write' }, tokens.cache_write_tokens);
    if (cost !== null) this.#cost.inc(labels, cost);
  }
}
