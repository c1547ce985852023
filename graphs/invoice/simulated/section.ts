/** The text between `<name>` and `</name>` in a prompt; empty when it has no such section. */
export function section(prompt: string, name: string): string {
  return new RegExp(`<${name}>\\s*(.*?)\\s*</${name}>`, 's').exec(prompt)?.[1] ?? '';
}
