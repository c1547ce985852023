/** Chars that a host with its port can have; others would mean something else within a URL. */
const HOST = /^[\w.:[\]%~-]+$/;

/** Whether a `Host` header names a host at all. */
export function isHost(host: string): boolean {
  return HOST.test(host) && URL.canParse(`http://${host}`);
}

/** The address of a request by its `Host` header and its target, whatever these are: it never throws, and `//x` is a path. */
export function requestUrl(protocol: string, host: string | undefined, target: string): URL {
  const url = new URL(`${protocol}://${host !== undefined && isHost(host) ? host : 'localhost'}`);
  const [path = '/', query = ''] = target.split(/\?(.*)/s);
  url.pathname = path;
  url.search = query;
  return url;
}
