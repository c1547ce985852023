import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pdf as openRaster, type Pdf } from 'pdf-to-img';
import { createWorker, OEM, PSM } from 'tesseract.js';
import type { ScannedText } from '../services.ts';

const ENGLISH_FOLDER = dirname(createRequire(import.meta.url).resolve('@tesseract.js-data/eng/package.json'));

/** Pixels a point. 144 dpi swallows the dust of a scan, 216 dpi shows small print. */
const SCALES = { coarse: 2, fine: 3 };
/** How a page is tried until the OCR is sure of it. Turned by quarters: a page that was laid wrongly on the scanner. */
const ATTEMPTS = [
  { raster: 'coarse', quarterTurns: 0 },
  { raster: 'fine', quarterTurns: 0 },
  { raster: 'coarse', quarterTurns: 1 },
  { raster: 'coarse', quarterTurns: 2 },
  { raster: 'coarse', quarterTurns: 3 },
] as const;
/** Clean print is read with a confidence above 90, print that lies or stands on its head with less than 50. */
const SURE = 85;

type Recognizer = Awaited<ReturnType<typeof createWorker>>;
type Rasters = Record<keyof typeof SCALES, Pdf>;

/**
 * Reads scans by optical character recognition, one document at a time: a recognizer takes a core and some 400 MB.
 * It runs in a thread of its own that ends with the document, so nothing keeps the process alive. No network.
 */
export class PageScanner {
  #last: Promise<unknown> = Promise.resolve();

  /**
   * @throws when the signal aborts, once the attempt at hand has ended: a call to a recognizer that has been terminated is a
   * rejection inside tesseract.js that nobody could catch, so it is never terminated while it works.
   */
  read(pdf: Uint8Array, signal?: AbortSignal): Promise<ScannedText> {
    const turn = this.#last.then(() => scan(pdf, signal));
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

async function scan(pdf: Uint8Array, signal?: AbortSignal): Promise<ScannedText> {
  signal?.throwIfAborted();
  const recognizer = await createWorker('eng', OEM.LSTM_ONLY, {
    langPath: join(ENGLISH_FOLDER, '4.0.0_best_int'),
    gzip: true,
    cacheMethod: 'none',
    // Without a handler tesseract.js throws in an event listener, which would end the process.
    errorHandler: () => undefined,
  });
  try {
    // One block of text: a table's rows stay rows, where automatic segmentation would read column by column.
    await recognizer.setParameters({ tessedit_pageseg_mode: PSM.SINGLE_BLOCK, user_defined_dpi: '144' });
    return await readPages(recognizer, pdf, signal);
  } finally {
    await recognizer.terminate();
  }
}

async function readPages(recognizer: Recognizer, pdf: Uint8Array, signal?: AbortSignal): Promise<ScannedText> {
  // Copies, since PDF.js takes the buffer away from its owner. Verbosity 0: it would warn on the console.
  const open = (scale: number): Promise<Pdf> =>
    openRaster(Uint8Array.from(pdf), { scale, docInitParams: { verbosity: 0 } });
  const rasters = { coarse: await open(SCALES.coarse), fine: await open(SCALES.fine) };
  try {
    const pages: string[] = [];
    let confidence = 100;
    for (let number = 1; number <= rasters.coarse.length; number += 1) {
      const page = await readPage({ recognizer, rasters, number, signal });
      pages.push(page.text);
      confidence = Math.min(confidence, page.confidence);
    }
    return { pages, confidence };
  } finally {
    await Promise.all([rasters.coarse.destroy(), rasters.fine.destroy()]);
  }
}

interface PageToRead {
  recognizer: Recognizer;
  rasters: Rasters;
  number: number;
  signal: AbortSignal | undefined;
}

/** The first attempt that the OCR is sure of, else the best one. A skewed page is straightened. */
async function readPage({ recognizer, rasters, number, signal }: PageToRead) {
  let best = { text: '', confidence: -1 };
  for (const { raster, quarterTurns } of ATTEMPTS) {
    const image = await rasters[raster].getPage(number);
    signal?.throwIfAborted();
    const turn = quarterTurns === 0 ? { rotateAuto: true } : { rotateRadians: (quarterTurns * Math.PI) / 2 };
    const { text, confidence } = (await recognizer.recognize(image, turn)).data;
    if (confidence > best.confidence) best = { text, confidence };
    if (best.confidence >= SURE) break;
  }
  return best;
}
