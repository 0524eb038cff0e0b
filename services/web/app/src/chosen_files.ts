// Files as people hand them over: dropped, a folder, or picked one by one.

export interface Chosen {
  /** Path relative to the scene, with forward slashes. */
  path: string;
  file: File;
}

export interface Selection {
  name: string;
  files: Chosen[];
}

/** What desktops leave in folders, and nobody means to upload. */
const CLUTTER = /(^|\/)(\.DS_Store|Thumbs\.db|desktop\.ini|\._[^/]*|__MACOSX\/.*)$/;

/** Return what was dropped, folders opened. */
export async function fromDrop(transfer: DataTransfer): Promise<Selection> {
  // The entries are gone once the event is over, so all of them are taken before anything is awaited.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const files = (await Promise.all(entries.map((entry) => inside(entry, "")))).flat();
  return selection(files);
}

/** Return what a file input holds. */
export function fromInput(input: HTMLInputElement): Selection {
  const files = [...(input.files ?? [])];
  return selection(files.map((file) => ({ path: file.webkitRelativePath || file.name, file })));
}

async function inside(entry: FileSystemEntry, above: string): Promise<Chosen[]> {
  const path = above + entry.name;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    return [{ path, file }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: FileSystemEntry[] = [];
  for (;;) {
    // One call returns a hundred entries at most.
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (batch.length === 0) break;
    found.push(...batch);
  }
  return (await Promise.all(found.map((next) => inside(next, `${path}/`)))).flat();
}

function selection(all: Chosen[]): Selection {
  const files = all.filter(({ path }) => !CLUTTER.test(path));
  const folder = commonFolder(files);
  const first = files[0];
  const name = folder || (files.length === 1 && first ? first.file.name : `${files.length} files`);
  const stripped = folder ? files.map(({ path, file }) => ({ path: path.slice(folder.length + 1), file })) : files;
  return { name, files: stripped };
}

/** The folder that all files are in belongs to the desktop, not to the scene. */
function commonFolder(files: Chosen[]): string {
  const folders = new Set(files.map(({ path }) => (path.includes("/") ? path.slice(0, path.indexOf("/")) : "")));
  const [only] = folders;
  return folders.size === 1 && only ? only : "";
}
