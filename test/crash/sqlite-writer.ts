import { SqliteDriver } from '../../src/state/drivers/sqlite/sqlite-driver.ts';

/** Stores checkpoints with the writes that led to them, as fast as it can, and tells of each that was acknowledged. */
const [path = '', thread_id = ''] = process.argv.slice(2);
const driver = await SqliteDriver.open({ url: `sqlite:${path}` });
process.once('disconnect', () => process.exit(0));
for (let step = 0; ; step += 1) {
  const key = { thread_id, checkpoint_ns: '', checkpoint_id: String(step), run_id: null };
  const parent = { ...key, checkpoint_id: String(step - 1), task_id: 'task', task_path: '' };
  const value = `value ${step}`;
  const common = { value_ids: [value], values: new Map([[value, Buffer.alloc(20_000, value)]]) };
  await Promise.all([
    driver.putWrites({ row: { ...parent, body: Buffer.from(value) }, ...common }),
    driver.put({
      row: { ...key, parent_id: parent.checkpoint_id, body: Buffer.alloc(3000, value) },
      ...common,
      search: '{}',
      deltas: false,
    }),
  ]);
  process.send?.(step);
}
