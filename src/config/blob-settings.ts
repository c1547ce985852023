import { InvalidInputError } from '../core/errors.ts';

/** Where big values are kept. */
export interface BlobSettings {
  /** Null: with the rest of the state. */
  url: string | null;
  /** Values that are longer than this leave for it. */
  limitBytes: number;
  /** Who may use the bucket; a BLOB_URL with a user in it says so itself. */
  credentials: { accessKeyId?: string; secretAccessKey?: string; sessionToken?: string };
}

interface BlobVariables {
  blobUrl?: string | undefined;
  blobBytes?: number | undefined;
  awsAccessKeyId?: string | undefined;
  awsSecretAccessKey?: string | undefined;
  awsSessionToken?: string | undefined;
}

export function blobSettings(set: BlobVariables): BlobSettings {
  const { blobUrl, blobBytes = 65_536, awsAccessKeyId, awsSecretAccessKey, awsSessionToken } = set;
  if (blobUrl !== undefined && !/^(disk:.|s3:\/\/.)/.test(blobUrl)) {
    throw new InvalidInputError('BLOB_URL is not understood: write it as disk:./blobs or s3://bucket/prefix');
  }
  return {
    url: blobUrl ?? null,
    limitBytes: blobBytes,
    credentials: {
      ...(awsAccessKeyId && { accessKeyId: awsAccessKeyId }),
      ...(awsSecretAccessKey && { secretAccessKey: awsSecretAccessKey }),
      ...(awsSessionToken && { sessionToken: awsSessionToken }),
    },
  };
}
