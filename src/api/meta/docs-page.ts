import type { JsonObject } from '../../core/json.ts';

/** The OpenAPI document as a page that needs nothing from anywhere else. */
export function docsPage(document: JsonObject): string {
  const { info, paths } = document as unknown as Document;
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );
  const tags = [...new Set(operations.flatMap(({ operation }) => operation.tags))];
  const sections = tags.map((tag) => {
    const own = operations.filter(({ operation }) => operation.tags.includes(tag));
    return `<h2>${escape(tag)}</h2>${own.map(section).join('')}`;
  });
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escape(info.title)} API</title>
<meta name="viewport" content="width=device-width"><style>${STYLE}</style></head><body>
<h1>${escape(info.title)} ${escape(info.version)}</h1>
<p>The same for machines: <a href="openapi.json">openapi.json</a>.</p>${sections.join('')}</body></html>`;
}

interface Operation {
  summary: string;
  description?: string;
  tags: string[];
  parameters?: { name: string; in: string; schema: object }[];
  requestBody?: { content: Record<string, { schema?: object }> };
  responses: Record<string, { description: string; content?: Record<string, { schema?: object }> }>;
}
interface Document {
  info: { title: string; version: string };
  paths: Record<string, Record<string, Operation>>;
}

const STYLE = `:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
summary{cursor:pointer;padding:.3rem 0}code,pre{font:13px/1.5 ui-monospace,monospace}pre{overflow:auto;padding:.6rem;background:#8881}
b{display:inline-block;min-width:4.5rem}details>*:not(summary){margin-left:1rem}`;

function section({ path, method, operation }: { path: string; method: string; operation: Operation }): string {
  const parts = [
    operation.description && `<p>${escape(operation.description)}</p>`,
    ...(operation.parameters ?? []).map(
      (parameter) =>
        `<p><code>${escape(parameter.name)}</code> in ${escape(parameter.in)}</p>${code(parameter.schema)}`,
    ),
    operation.requestBody && `<p>Body</p>${contents(operation.requestBody.content)}`,
    ...Object.entries(operation.responses).map(
      ([status, { description, content }]) =>
        `<p>${escape(status)}: ${escape(description)}</p>${content ? contents(content) : ''}`,
    ),
  ];
  const head = `<b>${escape(method.toUpperCase())}</b> <code>${escape(path)}</code> ${escape(operation.summary)}`;
  return `<details><summary>${head}</summary>${parts.filter(Boolean).join('')}</details>`;
}

function contents(content: Record<string, { schema?: object }>): string {
  return Object.entries(content)
    .map(([type, { schema }]) => (schema ? code(schema) : `<p>${escape(type)}</p>`))
    .join('');
}

function code(value: object): string {
  return `<pre>${escape(JSON.stringify(value, null, 2))}</pre>`;
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
