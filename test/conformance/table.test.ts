import { describe, expect, it } from 'vitest';
import { operationOf, OPERATIONS, PRODUCTION_ONLY } from './operations.ts';
import { NOBODY, type Request } from './scenario.ts';
import { SCENARIOS } from './table/scenarios.ts';

const requests = SCENARIOS.flatMap(({ steps }) =>
  steps.flatMap((step): Request[] => {
    if (step.kind === 'begin') return [step.request];
    return step.kind === 'request' && step.quiet !== true ? [step] : [];
  }),
);
const comparable = Object.values(OPERATIONS)
  .flat()
  .filter((operation) => !PRODUCTION_ONLY.test(operation));
const asked = (operation: string) =>
  requests.filter(({ method, path }) => operationOf(`${method} ${path}`) === operation);

describe('the table of comparisons has each operation that the development server has:', () => {
  it.each(comparable)('%s', (operation) => {
    expect(asked(operation).length).toBeGreaterThan(0);
  });

  it.each(comparable.filter((operation) => operation.includes('{')))('%s for what is not there', (operation) => {
    const strangers = asked(operation).filter(({ path }) => path.includes(NOBODY) || path.includes('no-such'));
    expect(strangers.length).toBeGreaterThan(0);
  });

  const taking = comparable.filter(
    (operation) => /^(POST|PUT|PATCH)/.test(operation) && !/copy$|cancel$/.test(operation),
  );
  it.each(taking)('%s with a body that is no JSON', (operation) => {
    expect(asked(operation).filter(({ body }) => typeof body === 'string').length).toBeGreaterThan(0);
  });
});
