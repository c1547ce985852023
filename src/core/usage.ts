/** What a call of a model used. Tokens that came from, or went to, the provider's cache are among the input, too. */
export interface TokenCount {
  input_tokens: number;
  output_tokens: number;
  cache_read_tokens: number;
  cache_write_tokens: number;
}

/** US dollars per million tokens. Cached input costs what other input costs, unless it says otherwise. */
interface ModelPrice {
  input: number;
  output: number;
  cache_read?: number | undefined;
  cache_write?: number | undefined;
}

/** By the model's name, as its provider answers with it or as the graph asks for it. */
export type ModelPrices = Readonly<Record<string, ModelPrice>>;

/** One execution of a node of the graph itself: what was called in its subgraphs is its, too. */
export interface ExecutionRef {
  execution_id: string;
  node: string;
  task_id: string;
  /** The checkpoint that its step began from; null for a run that is saved at its end only. */
  checkpoint_id: string | null;
}

/** One line of the record: a call of a model, or an execution of a node. */
export interface UsageRow extends ExecutionRef, TokenCount {
  usage_id: string;
  run_id: string;
  thread_id: string;
  graph_id: string;
  kind: 'call' | 'node';
  /** Of a call; null when nobody says which. */
  model: string | null;
  /** Of a call, in US dollars; null when its price is not known. */
  cost: number | null;
  /** Of a node. */
  seconds: number | null;
  /** Of a node: it has ended and will not be executed again. */
  finished: boolean;
}

interface UsageSums extends TokenCount {
  calls: number;
  /** Calls whose price is not known: their cost is in no sum. */
  unpriced_calls: number;
  /** Input and output. */
  total_tokens: number;
  /** In US dollars; null when no call has a known price. */
  cost: number | null;
}

/** Work of nodes. Those that call no model and take less than 10 ms are not recorded. */
export interface NodeSums extends UsageSums {
  executions: number;
  seconds: number;
}

export interface UsageReport {
  totals: NodeSums;
  by_node: ({ node: string } & NodeSums)[];
  by_model: ({ model: string | null } & UsageSums)[];
  /** What checkpoints saved where a worker was lost: finished nodes that were not executed again. */
  saved: NodeSums;
}
