import { extractTextItems, type StructuredTextItem } from 'unpdf';

/**
 * The text that a PDF carries, row by row as it stands on the page, one string a page; empty strings for a scan.
 * PDF text comes as pieces in drawing order, so pieces of one height are joined into a row, from left to right.
 */
export async function textLayer(pdf: Uint8Array): Promise<string[]> {
  // A copy, since PDF.js takes the buffer away from its owner.
  const { items } = await extractTextItems(Uint8Array.from(pdf));
  return items.map((page) => rowsOf(page).join('\n'));
}

function rowsOf(items: StructuredTextItem[]): string[] {
  const rows: { y: number; items: StructuredTextItem[] }[] = [];
  for (const item of items.filter(({ str }) => str.trim() !== '').sort((a, b) => b.y - a.y)) {
    const row = rows.at(-1);
    if (row && row.y - item.y < item.fontSize / 2) row.items.push(item);
    else rows.push({ y: item.y, items: [item] });
  }
  return rows.map((row) => joinRow(row.items.sort((a, b) => a.x - b.x)));
}

/** Puts a blank where the page has a gap: some PDFs place every letter on its own. */
function joinRow(items: StructuredTextItem[]): string {
  let text = '';
  let end = -Infinity;
  for (const item of items) {
    if (item.x - end > item.fontSize * 0.15) text += ' ';
    text += item.str;
    end = item.x + item.width;
  }
  return text.replaceAll(/\s+/g, ' ').trim();
}
