import { InvalidInputError } from '../core/errors.ts';

/** Where a bucket is and who asks for it. */
export interface S3Location {
  bucket: string;
  /** Without slashes around it; '' = the whole bucket. */
  prefix: string;
  /** The server's address, without the bucket. */
  endpoint: string;
  region: string;
  accessKeyId: string;
  secretAccessKey: string;
  /** Of temporary credentials. */
  sessionToken?: string;
}

export interface S3Credentials {
  accessKeyId?: string | undefined;
  secretAccessKey?: string | undefined;
  sessionToken?: string | undefined;
}

/** `s3://[key:secret@]bucket[/prefix][?endpoint=…&region=…]`. What stands in the URL wins over `credentials`. */
export function parseS3Url(text: string, credentials: S3Credentials = {}): S3Location {
  const url = new URL(text);
  const region = url.searchParams.get('region') ?? 'us-east-1';
  const endpoint = url.searchParams.get('endpoint') ?? `https://s3.${region}.amazonaws.com`;
  const own = url.username !== '';
  const accessKeyId = own ? decodeURIComponent(url.username) : credentials.accessKeyId;
  const secretAccessKey = own ? decodeURIComponent(url.password) : credentials.secretAccessKey;
  if (url.hostname === '') throw new InvalidInputError('BLOB_URL names no bucket: write it as s3://bucket/prefix');
  if (!/^https?:\/\/[^/]/.test(endpoint)) {
    throw new InvalidInputError('The endpoint in BLOB_URL is no address: write it as endpoint=https://host');
  }
  if (!accessKeyId || !secretAccessKey) {
    throw new InvalidInputError(
      'BLOB_URL names a bucket and nobody says who may use it: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write s3://key:secret@bucket',
    );
  }
  return {
    bucket: url.hostname,
    prefix: decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, ''),
    endpoint: endpoint.replace(/\/+$/, ''),
    region,
    accessKeyId,
    secretAccessKey,
    ...(!own && credentials.sessionToken && { sessionToken: credentials.sessionToken }),
  };
}
