import type { Codec } from '../core/codec.ts';
import type { BlobVault } from './blob-vault.ts';
import { readStub } from './stub.ts';

/** Reads values that the blob store has, when they are decoded and not before. What is written, the driver offloads. */
export function offloadCodec(codec: Codec, vault: Pick<BlobVault, 'load'>): Codec {
  return {
    encode: (text, context) => codec.encode(text, context),
    decode: (bytes, context) => {
      const stub = context.kind === 'value' ? readStub(bytes) : undefined;
      if (stub === undefined) return codec.decode(bytes, context);
      return vault.load(stub).then((loaded) => codec.decode(loaded, context));
    },
    idOf: (text, threadId) => codec.idOf(text, threadId),
    ...(codec.clearMetadata && { clearMetadata: codec.clearMetadata }),
  };
}
