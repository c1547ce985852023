import { readFileSync } from 'node:fs';
import { LANGGRAPH_VERSION } from '../../engine/runs/langgraph-version.ts';

/** The level of the LangGraph API that is spoken: Studio and others switch features on by it. */
const API_VERSION = '1.5.1';

export interface ServerInfo {
  version: string;
  langgraph_js_version: string | null;
  context: 'js';
  flags: Record<'assistants' | 'crons' | 'langsmith' | 'langsmith_tracing_replicas', boolean>;
  baton: { version: string };
}

export function serverInfo(): ServerInfo {
  return {
    version: API_VERSION,
    langgraph_js_version: LANGGRAPH_VERSION,
    context: 'js',
    flags: { assistants: true, crons: true, langsmith: false, langsmith_tracing_replicas: false },
    baton: { version: versionIn(new URL('../../../package.json', import.meta.url)) },
  };
}

function versionIn(packageFile: string | URL): string {
  return (JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string }).version;
}
