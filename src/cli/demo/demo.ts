import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { createApiKey } from '../../auth/api-keys.ts';
import { parseApiKeys } from '../../config/api-keys.ts';
import { loadConfig, type BatonConfig } from '../../config/config.ts';
import { InvalidInputError } from '../../core/errors.ts';
import { Database } from '../../database/database.ts';
import { createLogger } from '../logger.ts';
import type { CliOptions } from '../options.ts';
import { assertPortFree } from '../serve.ts';
import { stopRequest } from '../stop-request.ts';
import { costOf, DocumentRun } from './document-run.ts';
import type { Api } from './run-stream.ts';
import { WorkerProcess } from './worker-process.ts';

/** Short, so that the demo does not make anyone wait; 10 s is the default of a real server. */
const LEASE_SECONDS = 2;
/** What a small hosted model takes; only the simulated one is slowed down to it. */
const MODEL_LATENCY_MS = 700;

interface Scene {
  api: Api;
  startWorker: () => WorkerProcess;
  print: (line: string) => void;
}

/** Feeds invoices to the example pipeline and kills a worker on the way. Fails loudly when anything was done twice. */
export async function demo({ configPath, flags, once, pdf }: CliOptions): Promise<void> {
  const stopped = stopRequest();
  const key = createApiKey('demo', []);
  const config = lettingIn(key.entry, await demoConfig(configPath, flags, pdf));
  const log = createLogger('warn', { plain: true });
  const { BatonServer } = await import('../../server.ts');
  const server = await BatonServer.create(config, { log, role: { api: true, worker: false } });
  const bucket = pdf === null ? null : await bucketOf(pdf);
  const database = new Database({ url: server.databaseUrl, log, applicationName: 'baton demo' });
  const workers: WorkerProcess[] = [];
  try {
    await server.start();
    if (config.databaseUrl === null) await database.query('drop schema if exists accounting cascade');
    const scene: Scene = {
      api: { url: server.url ?? '', headers: { 'x-api-key': key.key } },
      print: (line) => console.log(line),
      startWorker: () => {
        const worker = new WorkerProcess(config.configPath, workerEnv(server.databaseUrl, config.stateUrl, bucket));
        workers.push(worker);
        return worker;
      },
    };
    console.log(`\nBaton's demo: invoices through OCR, a model and accounting, with a worker killed on the way\n`);
    await (pdf === null ? playSamples(scene) : playDocument(scene, basename(pdf)));
    await printLedger(database);
    console.log(`\nServing on ${scene.api.url} (API), ${scene.api.url}/docs`);
    if (once) return;
    console.log('Ctrl-C ends it.');
    await stopped;
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
    // Before the Postgres that the server stops.
    await database.close();
    await server.stop();
    if (bucket) await rm(bucket, { recursive: true, force: true });
  }
}

/** The demo keeps a Postgres of its own, beside that of `baton dev`, and takes another port rather than give up. */
async function demoConfig(configPath: string, flags: CliOptions['flags'], pdf: string | null): Promise<BatonConfig> {
  if (pdf !== null && !existsSync(pdf))
    throw new InvalidInputError(`there is no file ${pdf}: give --pdf the path of a PDF`);
  const config = loadConfig({ configPath, flags });
  if (!config.graphs['invoice']) {
    throw new InvalidInputError('the demo needs the graph "invoice": run it in a checkout of Baton');
  }
  const free =
    flags.port !== undefined ||
    (await assertPortFree(config.http).then(
      () => true,
      () => false,
    ));
  return {
    ...config,
    dataDir: join(config.dataDir, 'demo'),
    http: { ...config.http, port: free ? config.http.port : 0 },
  };
}

/** Where a login is needed, the demo has a key of its own. Where none is, people who look around afterwards need none. */
function lettingIn(entry: string, { auth, ...config }: BatonConfig): BatonConfig {
  const asksWho = auth.project !== null || auth.apiKeys.length > 0;
  const apiKeys = asksWho ? [...auth.apiKeys, ...parseApiKeys(entry)] : auth.apiKeys;
  return { ...config, auth: { ...auth, apiKeys } };
}

function workerEnv(databaseUrl: string, stateUrl: string | null, bucket: string | null): Record<string, string> {
  return {
    DATABASE_URL: databaseUrl,
    STATE_URL: stateUrl ?? '',
    BATON_LEASE_SECONDS: String(LEASE_SECONDS),
    BATON_LOG_LEVEL: 'error',
    INVOICE_MODEL_LATENCY_MS: String(MODEL_LATENCY_MS),
    ...(bucket && { INVOICE_BUCKET: bucket }),
  };
}

async function bucketOf(pdf: string): Promise<string> {
  const bucket = await mkdtemp(join(tmpdir(), 'baton-demo-'));
  await mkdir(dirname(join(bucket, basename(pdf))), { recursive: true });
  await copyFile(resolve(pdf), join(bucket, basename(pdf)));
  return bucket;
}

async function playSamples(scene: Scene): Promise<void> {
  const { print } = scene;
  const first = scene.startWorker();

  print('1. text-invoice.pdf: a PDF with text');
  const text = await DocumentRun.open(scene.api, print);
  await text.run({ input: { document: 'disk:text-invoice.pdf' } });
  printOutcome(text, print);

  print('\n2. scanned-invoice.pdf: a rotated, noisy scan, and a worker that dies');
  const scan = await DocumentRun.open(scene.api, print);
  await scan.run({ input: { document: 'disk:scanned-invoice.pdf' } }, async (node) => {
    if (node !== 'classify' || scan.killed) return;
    await first.kill();
    scan.noteKill();
    print(`   classify        kill -9 of worker ${first.pid}, in the middle of the model's answer`);
    scene.startWorker();
  });
  printOutcome(scan, print);
  printSaved(scan, print);

  print('\n3. wrong-totals.pdf: its totals do not add up');
  const wrong = await DocumentRun.open(scene.api, print);
  await wrong.run({ input: { document: 'disk:wrong-totals.pdf' } });
  await answerIfAsked(wrong, print);
}

async function playDocument(scene: Scene, document: string): Promise<void> {
  scene.startWorker();
  scene.print(`${document}: your document`);
  const run = await DocumentRun.open(scene.api, scene.print);
  await run.run({ input: { document: `disk:${document}` } });
  await answerIfAsked(run, scene.print);
}

async function answerIfAsked(run: DocumentRun, print: Scene['print']): Promise<void> {
  if (isAsked(run)) {
    printProblems(run, print);
    print(
      '   The run waits; it costs a row, no process. Here the demo answers in a person\'s place: {"approve": true}',
    );
    run.state = {};
    await run.run({ command: { resume: { approve: true } } });
  }
  if (!isAsked(run)) return printOutcome(run, print);
  printProblems(run, print);
  print(`   That is no answer to everything: the run waits for a person, to correct or reject it. Nothing was posted.`);
}

function isAsked({ state }: DocumentRun): boolean {
  return (state.__interrupt__ ?? []).length > 0;
}

function printProblems({ state }: DocumentRun, print: Scene['print']): void {
  const problems = state.__interrupt__?.flatMap(({ value }) => value.problems) ?? [];
  for (const problem of problems) print(`   ? ${problem}`);
}

function printOutcome({ state }: DocumentRun, print: Scene['print']): void {
  const { invoice, outcome, model } = state;
  if (!invoice || !outcome) throw new Error('the run ended without an outcome');
  const { supplier, number, total, currency } = invoice;
  const how = outcome.already_posted ? 'had been posted before as' : outcome.status;
  print(
    `   ${how} ${outcome.invoice_id ?? ''}: ${supplier}, ${number}, ${total} ${currency}; read by ${model}, $${costOf(state).toFixed(6)}`,
  );
}

/** The point of it all. Throws when the promise was broken. */
function printSaved(run: DocumentRun, print: Scene['print']): void {
  if (!run.killed) throw new Error('the worker was not killed: the run was over before');
  if (run.repeated.length > 0) throw new Error(`finished nodes were repeated: ${run.repeated.join(', ')}`);
  if (!run.executions.some(({ attempt }) => attempt > 1)) throw new Error('no other worker took the run over');
  const { finished, costUsd } = run.killed;
  const seconds = finished.reduce((sum, execution) => sum + (execution.seconds ?? 0), 0);
  print(`   not repeated: ${finished.map(({ node }) => node).join(', ')}`);
  print(
    `   saved: ${seconds.toFixed(1)} s and $${costUsd.toFixed(6)} of model calls (by list price, as if the model were a real one)`,
  );
}

async function printLedger(database: Database): Promise<void> {
  const [ledger] = await database.query<{ is_there: boolean }>(
    `select to_regclass('accounting.invoice_lines') is not null is_there`,
  );
  if (!ledger?.is_there) return; // the first invoice makes it
  const rows = await database.query<Record<string, unknown>>(
    `select i.invoice_id as id, supplier, number, total, currency, count(*) as lines, string_agg(distinct account, ', ') as accounts
     from accounting.invoices i join accounting.invoice_lines using (invoice_id) group by i.invoice_id order by i.invoice_id`,
  );
  console.log('\nIn the accounting tables:');
  console.table(rows);
}
