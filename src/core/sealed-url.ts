const PREFIX = 'encrypted+';

/** The address of a store without what says that it is encrypted; null when it is not. */
export interface SealedUrl {
  url: string;
  /** `?migrate=plain`: what was stored before it was encrypted is read, too. */
  readsPlain: boolean;
}

export function sealedUrl(url: string | null | undefined): SealedUrl | null {
  if (!url?.startsWith(PREFIX)) return null;
  const [address = '', query = ''] = url.slice(PREFIX.length).split(/\?(.*)/s);
  const parameters = new URLSearchParams(query);
  const readsPlain = parameters.get('migrate') === 'plain';
  if (!readsPlain) return { url: url.slice(PREFIX.length), readsPlain };
  parameters.delete('migrate');
  return { url: parameters.size > 0 ? `${address}?${parameters.toString()}` : address, readsPlain };
}
