import type { Codec } from '../core/codec.ts';
import type { CheckpointDriver } from '../state/drivers/checkpoint-driver.ts';
import type { BlobVault } from './blob-vault.ts';
import { offloadCodec } from './offload-codec.ts';
import { OffloadingDriver } from './offloading-driver.ts';

/** What a store of state needs so that its big values lie in the blob store: its driver and its codec, wrapped. */
export class BlobOffload {
  readonly #vault: BlobVault;
  readonly #limitBytes: number;

  constructor(vault: BlobVault, limitBytes: number) {
    this.#vault = vault;
    this.#limitBytes = limitBytes;
  }

  driver(driver: CheckpointDriver): CheckpointDriver {
    return new OffloadingDriver({ driver, vault: this.#vault, limitBytes: this.#limitBytes });
  }

  codec(codec: Codec): Codec {
    return offloadCodec(codec, this.#vault);
  }
}

export type Offload = Pick<BlobOffload, 'driver' | 'codec'>;

/** Reads what is in the blob store, at once, and puts nothing there. */
export function readingOnly(offload: Offload): Offload {
  return { driver: (driver) => driver, codec: (codec) => ({ ...offload.codec(codec), far: undefined }) };
}
