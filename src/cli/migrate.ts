import { withIdleServer } from './idle-server.ts';
import type { CliOptions } from './options.ts';

export async function migrate(options: CliOptions): Promise<void> {
  await withIdleServer(options, async () => {});
  console.log('The databases are up to date');
}
