// All that is used of Node's library, so that checking types takes no package but TypeScript.
declare module "node:fs/promises" {
  export function readFile(path: string | URL): Promise<Uint8Array>;
}
