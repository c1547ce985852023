import { describe, expect, it } from 'vitest';
import { isMemory, isSaverModule, shownStateUrl, stateUrl } from '../../src/core/state-url.ts';

const spelled = (text: string) => stateUrl(text, '/project', 'STATE_URL');

describe('the address of a state store', () => {
  it.each([
    ['memory:', 'memory:'],
    ['sqlite:./state.db', 'sqlite:/project/state.db'],
    ['sqlite:data/../state.db', 'sqlite:/project/state.db'],
    ['sqlite:/var/state.db?a=1', 'sqlite:/var/state.db?a=1'],
    ['sqlite:///var/state.db', 'sqlite:/var/state.db'],
    ['sqlite::memory:', 'sqlite::memory:'],
    ['encrypted+sqlite:state.db', 'encrypted+sqlite:/project/state.db'],
    ['redis://host:1/0', 'redis://host:1/0'],
    ['redis+cluster://one:1,two:2', 'redis+cluster://one:1,two:2'],
    ['postgres://u:p@host/db', 'postgres://u:p@host/db'],
    ['./my-saver.ts:saver', '/project/my-saver.ts:saver'],
    ['../my-saver.ts', '/my-saver.ts'],
  ])('%s has one spelling: %s', (text, expected) => {
    expect(spelled(text)).toBe(expected);
    expect(spelled(expected)).toBe(expected);
  });

  it.each([
    ['somewhere', 'STATE_URL has no scheme: write it as one of memory: · sqlite:'],
    ['mysql://u:secret@host/db', 'STATE_URL begins with "mysql:", which no store takes: write it as one of'],
    ['postgres:secret', 'STATE_URL is not complete'],
    ['redis://', 'STATE_URL is not complete'],
    ['sqlite:', 'STATE_URL is not complete'],
    ['memory:secret', 'STATE_URL is not complete'],
    ['encrypted+./my-saver.ts:secret', 'STATE_URL has no scheme'],
  ])('%s is refused, and not repeated', (text, message) => {
    expect(() => spelled(text)).toThrow(message);
    expect(() => spelled(text)).not.toThrow('secret');
  });

  it.each([
    ['postgres://u:p@ss/w?rd@host:5/db?password=x', 'postgres://host:5/db'],
    ['redis+cluster://:secret@one:1,two:2/0', 'redis+cluster://one:1,two:2/0'],
    ['redis://host/0?password=secret', 'redis://host/0'],
    ['encrypted+sqlite:/var/state.db', 'encrypted+sqlite:/var/state.db'],
    ['/project/my-saver.ts:saver', '/project/my-saver.ts:saver'],
  ])('%s is shown as %s', (url, shown) => {
    expect(shownStateUrl(url)).toBe(shown);
  });

  it('says what kind of store it is', () => {
    expect(['memory:', 'encrypted+memory:', 'sqlite::memory:'].map(isMemory)).toEqual([true, true, false]);
    expect(['./a.ts', '/a.ts:b', 'C:\\a.ts', 'sqlite:./a'].map(isSaverModule)).toEqual([true, true, true, false]);
  });
});
