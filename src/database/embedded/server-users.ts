import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { processStart } from './process-start.ts';

interface User {
  id: string;
  pid: number;
  start: string;
}

/**
 * Who uses the server of a home, longest first. The first one owns it; when the owner leaves or dies the next one does, so whoever is
 * last turns off the light. `join` and `leave` need the home's lock.
 */
export class ServerUsers {
  private readonly file: string;
  constructor(home: string) {
    this.file = join(home, 'users.json');
  }

  join(): string {
    const id = randomUUID();
    this.write([...this.living(), { id, pid: process.pid, start: processStart(process.pid) ?? '' }]);
    return id;
  }

  /** True when nobody is left. */
  leave(id: string): boolean {
    const rest = this.living().filter((user) => user.id !== id);
    this.write(rest);
    return rest.length === 0;
  }

  isOwner(id: string): boolean {
    return this.living()[0]?.id === id;
  }

  private living(): User[] {
    if (!existsSync(this.file)) return [];
    const users = JSON.parse(readFileSync(this.file, 'utf8')) as User[];
    return users.filter(({ pid, start }) => processStart(pid) === start);
  }

  private write(users: User[]): void {
    writeFileSync(`${this.file}.draft`, JSON.stringify(users));
    renameSync(`${this.file}.draft`, this.file);
  }
}
