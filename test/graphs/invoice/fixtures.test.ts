import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { drawPdf } from '../../../graphs/invoice/fixtures/draw.ts';
import { samples } from '../../../graphs/invoice/fixtures/samples.ts';

const committed = (name: string): Promise<Buffer> =>
  readFile(new URL(`../../../graphs/invoice/fixtures/${name}`, import.meta.url));

test.each(samples())('$name: its truth is what the generator makes', async ({ name, truth }) => {
  expect(JSON.parse((await committed(`${name}.json`)).toString())).toEqual(truth);
});

test.each(samples().filter(({ scan }) => !scan))('$name: its PDF is what the generator makes', async (sample) => {
  expect((await drawPdf(sample)).equals(await committed(`${sample.name}.pdf`))).toBe(true);
});

test.each(samples().filter(({ scan }) => scan))('$name: its PDF is made again as an image only', async (sample) => {
  const pdf = (await drawPdf(sample)).toString('latin1');
  expect(pdf).toContain('/Subtype /Image');
  expect(pdf).not.toContain('/Font');
  expect((await committed(`${sample.name}.pdf`)).byteLength).toBeLessThan(300_000);
});
