import type { Request, Response } from 'express';
import type { z } from 'zod';
import type { Caller } from '../core/caller.ts';

export interface Operation<P, Q, B> {
  method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** As Express writes it: `/threads/:thread_id`. */
  path: string;
  summary: string;
  description?: string;
  params?: z.ZodType<P>;
  query?: z.ZodType<Q>;
  body?: z.ZodType<B>;
  /**
   * Absent: the handler asks what the caller may do, and fails when it answers without. `known`: for everybody who is
   * logged in. `open`: for everybody, without looking who it is.
   */
  access?: 'known' | 'open';
  /** Default 200, or 204 when the handler answers nothing. */
  status?: number;
  /** What is answered; `events` for a stream of server-sent events. Nothing when absent. */
  answer?: z.ZodType | 'events' | 'html' | 'file';
}

/** A request whose parts have been checked. */
export interface Call<P, Q, B> {
  params: P;
  query: Q;
  body: B;
  /** Who makes the request. Every service asks it what it may do. */
  caller: Caller;
  req: Request;
  res: Response;
}

/** One operation of the API with what it does: Express serves it, the OpenAPI document describes it. */
export interface Route extends Operation<unknown, unknown, unknown> {
  handle: (call: Call<unknown, unknown, unknown>) => Promise<unknown>;
}

/**
 * The handler's value is sent as JSON; `undefined` means an empty answer, or that it has answered by itself.
 */
export function route<P, Q, B>(
  operation: Operation<P, Q, B>,
  handle: (call: Call<P, Q, B>) => Promise<unknown>,
): Route {
  return { ...operation, handle: handle as Route['handle'] };
}

/** Whether a request is the route's, as Express sees it; a GET route answers HEAD, too. */
export function serves(route: Pick<Route, 'method' | 'path'>, method: string, path: string): boolean {
  const asked = method === 'HEAD' ? 'get' : method.toLowerCase();
  const pattern = route.path.replaceAll('.', String.raw`\.`).replaceAll(/:\w+/g, '[^/]+');
  return asked === route.method && new RegExp(`^${pattern}/?$`).test(path);
}
