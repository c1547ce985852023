/**
 * The key under which an attempt's fencing token travels in `config.configurable`, from the engine to the saver, also
 * into subgraphs. LangChain copies configurable values into metadata and traces, but none whose key starts with `__`.
 */
export const FENCING_TOKEN_KEY = '__baton_fencing_token';
