import type { Codec } from '../core/codec.ts';
import type { BlobVault } from './blob-vault.ts';
import { readStub } from './stub.ts';

/** Reads values that the blob store has, when they are decoded and not before. What is written, the driver offloads. */
export function offloadCodec(codec: Codec, vault: Pick<BlobVault, 'load' | 'loadSync'>): Codec {
  return {
    encode: (text, context) => codec.encode(text, context),
    decode: (bytes, context) => {
      const stub = context.kind === 'value' ? readStub(bytes) : undefined;
      if (stub === undefined) return codec.decode(bytes, context);
      return vault.load(stub).then((loaded) => codec.decode(loaded, context));
    },
    opener: (context) => codec.opener(context),
    far: async (bytes, context) => {
      const stub = readStub(bytes);
      if (stub === undefined) return undefined;
      const open = await codec.opener(context);
      return { now: () => open(vault.loadSync(stub)), soon: async () => codec.decode(await vault.load(stub), context) };
    },
    idOf: (text, threadId) => codec.idOf(text, threadId),
    ...(codec.clearMetadata && { clearMetadata: codec.clearMetadata }),
  };
}
