/** The chart of accounts: code -> what is booked there. The texts are part of the prompt, so a change here is enough. */
export const ACCOUNTS = {
  '6100': 'Cloud hosting and data services',
  '6200': 'Software licences and subscriptions',
  '6300': 'Computers, phones and other hardware',
  '6400': 'Office supplies, paper and furniture',
  '6500': 'Consulting, legal and other professional services',
  '6600': 'Travel, hotels and meals',
  '6700': 'Freight, postage and courier',
  '6800': 'Rent, cleaning, energy and telephone',
  '6990': 'Other expenses (only when nothing else fits)',
} as const;

export type AccountCode = keyof typeof ACCOUNTS;

export const ACCOUNT_CODES = Object.keys(ACCOUNTS) as [AccountCode, ...AccountCode[]];
