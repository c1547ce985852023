/** Which pages of which origins may call the API from a browser, and how. */
export interface CorsRules {
  /** `*` or origins as `https://host`. */
  origins: '*' | readonly string[];
  /** A regular expression; an origin that it matches as a whole may call, too. */
  originPattern: string | null;
  /** Null: all that the API has. */
  methods: readonly string[] | null;
  /** Null: whatever a page asks for. */
  headers: readonly string[] | null;
  /** Besides those that clients of the API need. */
  exposed: readonly string[];
  /** Whether the browser may send what it keeps for this origin: cookies, logins. Never with origins `*`. */
  credentials: boolean;
  maxAgeSeconds: number;
}
