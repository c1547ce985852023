import { ChatOpenAI } from '@langchain/openai';
import type { InvoiceModel } from '../services.ts';
import { startSimulatedModel } from '../simulated/start-simulated-model.ts';

const DEFAULT_MODEL = 'gpt-4o-mini';
const TIMEOUT_MS = 120_000;

interface ModelSettings {
  apiKey?: string | undefined;
  baseUrl?: string | undefined;
  model?: string | undefined;
  /** How long the simulated model takes to answer: a real one takes a second or more. */
  simulatedLatencyMs?: number;
}

/**
 * The chat model, made at the first call: OpenAI (or what answers at `baseUrl`) when there is a key, else the same
 * client against a simulated model on this machine.
 */
export function chatModel({
  apiKey,
  baseUrl,
  model = DEFAULT_MODEL,
  simulatedLatencyMs = 0,
}: ModelSettings): () => Promise<InvoiceModel> {
  let opened: Promise<InvoiceModel> | undefined;
  const open = async (): Promise<InvoiceModel> => {
    if (!apiKey) return simulated(simulatedLatencyMs);
    const configuration = baseUrl ? { baseURL: baseUrl } : {};
    return { name: model, chat: new ChatOpenAI({ model, apiKey, configuration, timeout: TIMEOUT_MS }) };
  };
  return () => (opened ??= open());
}

async function simulated(latencyMs: number): Promise<InvoiceModel> {
  const { url } = await startSimulatedModel({ latencyMs });
  return {
    name: 'simulated (aimock)',
    chat: new ChatOpenAI({ model: 'simulated', apiKey: 'none', configuration: { baseURL: `${url}/v1` } }),
  };
}
