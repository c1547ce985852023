import type { Logger } from 'pino';
import type { BatonConfig } from './config/config.ts';
import { clearMetadata } from './core/clear-metadata.ts';
import type { Codec } from './core/codec.ts';
import { type KeyEncryptionKey, KeyRing, secretKey, serviceKey } from './core/key-ring.ts';
import { importExport } from './core/project-export.ts';
import { sealedUrl, type SealedUrl } from './core/sealed-url.ts';
import { openKeys } from './database/sealing/open-keys.ts';
import { Sealing } from './database/sealing/sealing.ts';
import { SealingCodec } from './state/codec/sealing-codec.ts';

/** What seals all that a server keeps. */
export interface Encryption {
  /** Of what belongs to no store: results of effects, files. */
  codec: Codec;
  /** Of the store at that address. */
  codecOf(url: string): Codec;
  sealing: Sealing;
  close(): Promise<void>;
}

/**
 * Null when no store is encrypted. @throws ServiceError in one line when BATON_KEYS is missing, or is not what the stored keys
 * were wrapped by: a server that cannot read what it keeps must not start.
 */
export async function openEncryption(config: BatonConfig, url: string, log: Logger): Promise<Encryption | null> {
  const sealed = sealedStores(config);
  if (sealed.length === 0) return null;
  const opened = await openKeys({ url, log, ring: await openKeyRing(config.encryption) });
  const options = {
    keys: opened.keys,
    // One graph's store says nothing of all others.
    readsPlain: sealedUrl(config.stateUrl)?.readsPlain ?? false,
    clearMetadata: clearMetadata(config.encryption.clearMetadata),
  };
  return {
    codec: new SealingCodec(options),
    codecOf: (store) => new SealingCodec({ ...options, readsPlain: sealedUrl(store)?.readsPlain ?? false }),
    sealing: new Sealing(options),
    close: () => opened.close(),
  };
}

export async function openKeyRing({ keys }: BatonConfig['encryption']): Promise<KeyRing> {
  const opened: KeyEncryptionKey[] = [];
  for (const source of keys) {
    if ('secret' in source) opened.push(secretKey(source.id, Buffer.from(source.secret, 'base64')));
    else opened.push(serviceKey(await importExport(source, 'BATON_KEYS'), source.file));
  }
  return new KeyRing(opened);
}

/** The keys of metadata that rows can be told by; null: all, as nothing is encrypted. */
export function findableMetadata(config: BatonConfig): ReadonlySet<string> | null {
  return sealedStores(config).length === 0 ? null : clearMetadata(config.encryption.clearMetadata);
}

/** One is enough for all of the control plane to be sealed: it knows of every thread. */
function sealedStores({ stateUrl, graphs }: BatonConfig): SealedUrl[] {
  const urls = [stateUrl, ...Object.values(graphs).map(({ state }) => state)];
  return urls.map(sealedUrl).filter((store) => store !== null);
}
