import { Agent, request, type IncomingMessage } from 'node:http';

/** Connections of one's own to one server: a contestant does not inherit what another one has left. */
export class HttpLoad {
  readonly #url: string;
  readonly #agent = new Agent({ keepAlive: true });
  constructor(url: string) {
    this.#url = url;
  }

  /** The parsed answer. Throws for a status that is no success. */
  async post<T>(path: string, body: object): Promise<T> {
    const answer = await this.open(path, body);
    let text = '';
    for await (const piece of answer.setEncoding('utf8')) text += piece as string;
    return (text === '' ? null : JSON.parse(text)) as T;
  }

  /** POST with a body, else GET; resolves with the headers. Throws for a status that is no success. */
  open(path: string, body?: object): Promise<IncomingMessage> {
    const method = body ? 'POST' : 'GET';
    const headers = body ? { 'content-type': 'application/json' } : {};
    return new Promise((resolve, reject) => {
      const sent = request(this.#url + path, { method, headers, agent: this.#agent }, (answer) => {
        if ((answer.statusCode ?? 500) < 300) resolve(answer);
        else reject(new Error(`${method} ${path} answered ${answer.statusCode}`));
      });
      sent.on('error', reject);
      sent.end(body && JSON.stringify(body));
    });
  }

  /** Ends the connections; new ones are made when they are needed. */
  close(): void {
    this.#agent.destroy();
  }
}
