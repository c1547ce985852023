/** The codes of JSON-RPC, and those that the Agent2Agent protocol adds. */
const CODES = {
  invalid_request: -32_600,
  method_not_found: -32_601,
  invalid_params: -32_602,
  internal: -32_603,
  task_not_found: -32_001,
  task_not_cancelable: -32_002,
  unsupported_operation: -32_004,
} as const;

/** A refusal in the words of JSON-RPC. Its message is for the caller. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  readonly code: number;
  constructor(code: keyof typeof CODES, message: string) {
    super(message);
    this.code = CODES[code];
  }
}
