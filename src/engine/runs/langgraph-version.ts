import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** The version of the LangGraph that runs the graphs; null when it cannot be told. */
export const LANGGRAPH_VERSION: string | null = installedVersion();

function installedVersion(): string | null {
  try {
    const file = createRequire(import.meta.url).resolve('@langchain/langgraph/package.json');
    return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
  } catch {
    return null;
  }
}
