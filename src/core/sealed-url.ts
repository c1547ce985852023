/** What says of a store's address that it is encrypted. */
export const SEALED_PREFIX = 'encrypted+';

/** The address of a store without what says that it is encrypted; null when it is not. */
export interface SealedUrl {
  url: string;
  /** `?migrate=plain`: what was stored before it was encrypted is read, too. */
  readsPlain: boolean;
}

export function sealedUrl(url: string | null | undefined): SealedUrl | null {
  if (!url?.startsWith(SEALED_PREFIX)) return null;
  const [address = '', query = ''] = url.slice(SEALED_PREFIX.length).split(/\?(.*)/s);
  const parameters = new URLSearchParams(query);
  const readsPlain = parameters.get('migrate') === 'plain';
  if (!readsPlain) return { url: url.slice(SEALED_PREFIX.length), readsPlain };
  parameters.delete('migrate');
  return { url: parameters.size > 0 ? `${address}?${parameters.toString()}` : address, readsPlain };
}

/** The address of the store itself, encrypted or not. */
export function bareUrl(url: string): string {
  return sealedUrl(url)?.url ?? url;
}
