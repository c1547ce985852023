import ipaddr from 'ipaddr.js';
import { isIP } from 'node:net';
import { InvalidInputError } from '../../core/errors.ts';
import type { WebhookRules } from '../../core/webhook.ts';

type Network = ReturnType<typeof ipaddr.parseCIDR>;

/** Public by its number, yet each machine of that cloud finds its own secrets there. */
const METADATA = new Set(['168.63.129.16']);
/** All that is public of IPv6. Below are ways to write IPv4 addresses that the ranges of the library do not name. */
const PUBLIC_IPV6 = ipaddr.parseCIDR('2000::/3');
/** Where a path of the project's own app would be, if it were an address. */
const OWN = 'http://own.invalid';

/** Where webhooks may lead. An address is looked at when it is given, and again whenever something is sent there. */
export class WebhookPolicy {
  readonly #rules: WebhookRules;
  readonly #networks: Network[];

  constructor(rules: WebhookRules) {
    this.#rules = rules;
    this.#networks = rules.networks.map((network) => ipaddr.parseCIDR(network));
  }

  /** Throws InvalidInputError that says what to do instead. What a name leads to is seen only when something is sent. */
  check(text: string): void {
    const fault = this.#fault(text);
    if (fault !== null) throw new InvalidInputError(`webhook: ${fault}`);
  }

  /** Whether nothing may be sent to an IP address, whatever name led to it. */
  forbids(address: string): boolean {
    // What is IPv4 within IPv6 is judged as IPv4.
    const ip = ipaddr.process(address);
    const isIn = ([range, bits]: Network) => ip.kind() === range.kind() && ip.match([range, bits]);
    const isPublic = ip.range() === 'unicast' && (ip.kind() === 'ipv4' || isIn(PUBLIC_IPV6));
    return !this.#networks.some(isIn) && (!isPublic || METADATA.has(ip.toString()));
  }

  #fault(text: string): string | null {
    const { enabled, maxUrlChars } = this.#rules;
    if (!enabled) return 'webhooks are switched off here (http.disable_webhooks): join the run, or ask for its status';
    if (text.length > maxUrlChars) return `is longer than ${maxUrlChars} characters`;
    return text.startsWith('/') ? this.#faultOfPath(text) : this.#faultOfAddress(text);
  }

  #faultOfPath(path: string): string | null {
    if (!this.#rules.ownPaths) {
      return 'a path of the server itself is not allowed: set webhooks.url.disable_loopback to false in langgraph.json';
    }
    const isPath = URL.canParse(path, OWN) && new URL(path, OWN).origin === OWN;
    return isPath ? null : 'is neither a path nor an address: write https://host/path';
  }

  #faultOfAddress(text: string): string | null {
    if (!URL.canParse(text)) return 'is no address: write it as https://host/path';
    const url = new URL(text);
    if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'must be an https or http address';
    if (url.username !== '' || url.password !== '') {
      return 'has a user name or a password in it: what proves who sends it belongs into webhooks.headers of langgraph.json';
    }
    return this.#faultOfPlace(url);
  }

  #faultOfPlace(url: URL): string | null {
    const { httpsOnly, ports, domains } = this.#rules;
    const host = hostOf(url);
    if (httpsOnly && url.protocol !== 'https:') return 'must be an https address (webhooks.url.require_https)';
    const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80);
    if (ports && !ports.includes(port)) return `port ${port} is not one of webhooks.url.allowed_ports`;
    if (domains && !domains.some((domain) => isWithin(host, domain))) {
      return `host ${host} is not one of webhooks.url.allowed_domains`;
    }
    if (addressesOfItself(host).some((address) => this.forbids(address))) {
      return `${host} is not public: if it is meant to be reached, add its network to BATON_WEBHOOK_ALLOWED_NETWORKS`;
    }
    return null;
  }
}

/** A name or an IP address, without brackets and the dot that may end a name. */
export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
}

/** What a host leads to that needs no looking up; nothing for any other name. */
export function addressesOfItself(host: string): string[] {
  if (isIP(host) !== 0) return [host];
  return host === 'localhost' || host.endsWith('.localhost') ? ['127.0.0.1', '::1'] : [];
}

function isWithin(host: string, domain: string): boolean {
  return domain.startsWith('*.') ? host.endsWith(domain.slice(1)) && host.length > domain.length - 1 : host === domain;
}
