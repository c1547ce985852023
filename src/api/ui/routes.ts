import { extname } from 'node:path';
import type { Request } from 'express';
import { z } from 'zod';
import { NotFoundError } from '../../core/errors.ts';
import { route, type Route } from '../../http/route.ts';
import { bundleUi, globalNameOf, type UiFiles, type UiSource } from './bundle.ts';

const uiPath = z.object({ name: z.string() });
const filePath = uiPath.extend({ file: z.string() });
const component = z.strictObject({ name: z.string() });

/** The components that graphs show in a chat: each graph's are bundled when they are first asked for. */
export function uiRoutes(sources: Readonly<Record<string, UiSource>>): Route[] {
  const bundles = new Map<string, Promise<UiFiles>>();
  const filesOf = (name: string): Promise<UiFiles> => {
    const source = Object.hasOwn(sources, name) ? sources[name] : undefined;
    if (!source) throw new NotFoundError('UI', name);
    const bundle = bundles.get(name) ?? bundleUi(name, source);
    bundles.set(name, bundle);
    // What was wrong may be right by the next time.
    bundle.catch(() => bundles.delete(name));
    return bundle;
  };
  return [
    route(
      {
        method: 'post',
        path: '/ui/:name',
        access: 'known',
        summary: 'Get the HTML that loads one of a graph’s components',
        params: uiPath,
        body: component,
        answer: 'html',
      },
      async ({ params, body, req, res }) => {
        const files = await filesOf(params.name);
        res.type('html').send(snippet(params.name, body.name, [...files.keys()], `${originOf(req)}${req.baseUrl}`));
      },
    ),
    route(
      {
        method: 'get',
        path: '/ui/:name/:file',
        // A page loads it by a script tag, which brings no login along.
        access: 'open',
        summary: 'Get a file of a graph’s components',
        params: filePath,
        answer: 'html',
      },
      async ({ params, res }) => {
        const contents = (await filesOf(params.name)).get(params.file);
        if (!contents) throw new NotFoundError('File', params.file);
        res.type(extname(params.file)).send(Buffer.from(contents));
      },
    ),
  ];
}

function snippet(name: string, component: string, files: string[], base: string): string {
  const urlOf = (file: string) => escape(`${base}/ui/${encodeURIComponent(name)}/${file}`);
  const styles = files.filter((file) => extname(file) === '.css');
  const scripts = files.filter((file) => extname(file) === '.js');
  const onload = `${globalNameOf(name)}.render(${JSON.stringify(component)}, "{{shadowRootId}}")`;
  return [
    ...styles.map((file) => `<link rel="stylesheet" href="${urlOf(file)}" />`),
    ...scripts.map((file) => `<script src="${urlOf(file)}" onload="${escape(onload)}"></script>`),
  ].join('\n');
}

/** As the page reaches it: on this machine without encryption, elsewhere as the page itself is reached. */
function originOf(req: Request): string {
  const host = /^[\w.:[\]-]+$/.exec(req.get('host') ?? '')?.[0] ?? 'localhost';
  return `${/^(localhost|127\.0\.0\.1)(:|$)/.test(host) ? 'http:' : ''}//${host}`;
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');
}
