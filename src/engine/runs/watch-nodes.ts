import { mergeConfigs } from '@langchain/core/runnables';
import { isGraphBubbleUp, isGraphInterrupt, START } from '@langchain/langgraph';
import { NODE_EXECUTION_KEY } from '../../core/effect.ts';
import type { RunEffects } from '../effects/run-effects.ts';
import type { CompiledGraph } from '../graphs/registry.ts';
import type { NodeEnd } from './run-observer.ts';
import type { RunUsage } from '../usage/run-usage.ts';
import { type NodeStep, replaced, wrapNodes } from './wrap-nodes.ts';

export interface NodeWatch {
  ended: (node: string, end: NodeEnd, ms: number) => void;
  effects: RunEffects;
  usage: RunUsage;
}

/**
 * Has every execution of a node reported with its duration and the model calls in it, and gives it its own page in the
 * ledger of effects. The graph must be a copy of one's own. Around the node itself, since
 * callbacks of the whole graph cost a fifth of a short run and the stream tells of a node only when it lets others work.
 */
export function watchNodes(graph: CompiledGraph, watch: NodeWatch): void {
  wrapNodes(graph, (name, node) => {
    // The first one is LangGraph's own: it takes the input.
    if (name === START) return {};
    const getNode = (): NodeStep | undefined => {
      const step = node.getNode();
      return step && replaced(step, { invoke: watched(step, name, watch) });
    };
    return { getNode };
  });
}

function watched(step: NodeStep, name: string, { ended, effects, usage }: NodeWatch): NodeStep['invoke'] {
  return async (input, config) => {
    const beganMs = performance.now();
    const execution = effects.open();
    const used = usage.open(name, config);
    let end: NodeEnd = 'success';
    try {
      const { configurable } = config ?? {};
      countSubgraphsAnew(configurable);
      const { callbacks } = mergeConfigs({ callbacks: config?.callbacks }, { callbacks: [used.calls] });
      const own = { ...config, callbacks, configurable: { ...configurable, [NODE_EXECUTION_KEY]: execution } };
      const result = (await step.invoke(input, own)) as unknown;
      execution.ended();
      return result;
    } catch (error) {
      end = endOf(error);
      if (end === 'error') await execution.failed();
      throw error;
    } finally {
      const ms = performance.now() - beganMs;
      ended(name, end, ms);
      await used.ended(end, ms);
    }
  };
}

/**
 * A node that is tried again by its retry policy asks for the same subgraphs again. LangGraph goes on counting them, so
 * that each gets a place of its own, loses what it had done, and does its effects again.
 */
function countSubgraphsAnew(configurable: Record<string, unknown> | undefined): void {
  const scratchpad = configurable?.['__pregel_scratchpad'] as { subgraphCounter?: number } | undefined;
  if (scratchpad?.subgraphCounter !== undefined) scratchpad.subgraphCounter = 0;
}

/** A command to the parent graph is thrown as well, and is no failure. */
function endOf(error: unknown): NodeEnd {
  if (isGraphInterrupt(error)) return 'interrupted';
  return isGraphBubbleUp(error) ? 'success' : 'error';
}
