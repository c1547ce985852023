import { InvalidInputError } from '../../../core/errors.ts';

/** The file of `sqlite:/absolute/path`. @throws InvalidInputError for what names none. */
export function fileOfUrl(url: string): string {
  const path = url.slice(url.indexOf(':') + 1);
  if (path === ':memory:') {
    throw new InvalidInputError('sqlite::memory: would be another store in each process, gone with it: use memory:');
  }
  if (path.includes('?')) {
    const options = path.slice(path.indexOf('?'));
    throw new InvalidInputError(
      `The address of the SQLite store ends in "${options}", and it has no options: remove them`,
    );
  }
  return path;
}
