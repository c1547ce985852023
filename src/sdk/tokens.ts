/** How many tokens a text has. */
export type TokenCounter = (text: string) => number;

/** A guess that is good enough for a budget: four characters of a Latin text are about one token, of other scripts one or two. */
export function estimateTokens(text: string): number {
  let ascii = 0;
  for (let at = 0; at < text.length; at += 1) if (text.charCodeAt(at) < 0x80) ascii += 1;
  return Math.ceil(ascii / 4 + (text.length - ascii) / 1.5);
}
