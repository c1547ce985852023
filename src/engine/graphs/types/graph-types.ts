import { createHash } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import type ts from '@typescript/typescript6';
import type { GraphSource } from '../../../core/graph-source.ts';
import type { GraphSchemas } from '../schemas.ts';
import { jsonSchemaOf } from './json-schema.ts';

type Compiler = typeof ts;

/** What the types of a graph say about it: only what they do say. */
export type TypedSchemas = Partial<GraphSchemas>;

export interface GraphTypes {
  schemas: TypedSchemas;
  /** SHA-256 by absolute path, of all that it depends on; null when an import leads nowhere, so far. */
  hashes: Record<string, string> | null;
}

/** Reads the types of graphs with the project's own compiler and tsconfig.json. Nothing is checked, nothing is run. */
export class GraphTypeReader {
  readonly #ts: Compiler;
  readonly #parsed = new Map<string, ts.SourceFile | undefined>();
  #last: ts.Program | undefined;

  constructor(compiler: Compiler) {
    this.#ts = compiler;
  }

  read(source: Pick<GraphSource, 'file' | 'exportName'>): GraphTypes {
    const { options, configs } = this.#options(source.file);
    const program = this.#ts.createProgram({
      rootNames: [source.file],
      options,
      host: this.#host(options),
      ...(this.#last && { oldProgram: this.#last }),
    });
    this.#last = program;
    const files = program.getSourceFiles();
    const own = files.filter(({ fileName }) => packageFileOf(fileName) === null);
    const isWhole = own.every((file) => importsAreFound(this.#ts, program, file));
    return {
      schemas: new ExportedGraph(this.#ts, program).schemas(source),
      hashes: isWhole ? { ...configs, ...this.#hashes(files) } : null,
    };
  }

  /** A package is known by its package.json: its files are many, and change with its version only. */
  #hashes(files: readonly ts.SourceFile[]): Record<string, string> {
    const texts = new Map<string, string>();
    for (const { fileName, text } of files) {
      const packageFile = packageFileOf(fileName);
      if (packageFile === null) texts.set(fileName, text);
      else if (!texts.has(packageFile)) texts.set(packageFile, this.#ts.sys.readFile(packageFile) ?? '');
    }
    return Object.fromEntries([...texts].map(([path, text]) => [path, hashOf(text)]));
  }

  #options(file: string): { options: ts.CompilerOptions; configs: Record<string, string> } {
    const { sys, ModuleKind, ModuleResolutionKind, ScriptTarget } = this.#ts;
    const configFile = this.#ts.findConfigFile(dirname(file), (path) => sys.fileExists(path));
    const configs: Record<string, string> = {};
    const config =
      configFile &&
      this.#ts.getParsedCommandLineOfConfigFile(configFile, undefined, {
        ...sys,
        // Which files there are besides the graph's does not matter.
        readDirectory: () => [],
        readFile: (path) => {
          const text = sys.readFile(path);
          if (text !== undefined) configs[path] = hashOf(text);
          return text;
        },
        onUnRecoverableConfigFileDiagnostic: () => undefined,
      });
    const fallback = { module: ModuleKind.ESNext, moduleResolution: ModuleResolutionKind.Bundler };
    return {
      // Without strict null checks nothing would be known to be optional.
      options: {
        ...(config ? config.options : { ...fallback, target: ScriptTarget.ES2022 }),
        strictNullChecks: true,
        noEmit: true,
        skipLibCheck: true,
      },
      configs,
    };
  }

  /** The declarations of LangGraph are parsed once for all graphs. */
  #host(options: ts.CompilerOptions): ts.CompilerHost {
    const host = this.#ts.createCompilerHost(options);
    return {
      ...host,
      getSourceFile: (path, ...how) => {
        if (!this.#parsed.has(path)) this.#parsed.set(path, host.getSourceFile(path, ...how));
        return this.#parsed.get(path);
      },
    };
  }
}

class ExportedGraph {
  readonly #ts: Compiler;
  readonly #program: ts.Program;
  readonly #checker: ts.TypeChecker;

  constructor(compiler: Compiler, program: ts.Program) {
    this.#ts = compiler;
    this.#program = program;
    this.#checker = program.getTypeChecker();
  }

  schemas({ file, exportName }: Pick<GraphSource, 'file' | 'exportName'>): TypedSchemas {
    const exported = this.#typeOfExport(file, exportName);
    const graph = exported && this.#compiledGraph(exported);
    if (!graph) return {};
    const output = this.#property(graph, '~OutputType');
    const context = this.#contextOf(graph);
    return this.#written({
      input_schema: this.#property(graph, '~InputType'),
      output_schema: output,
      state_schema: this.#property(graph, '~RunOutput') ?? output,
      config_schema: context,
      context_schema: context,
    });
  }

  #typeOfExport(file: string, exportName: string): ts.Type | undefined {
    const path = this.#program.getSourceFile(file);
    const module = path && this.#checker.getSymbolAtLocation(path);
    if (!module) throw new Error(`${basename(file)} is no module`);
    const found = this.#checker.getExportsOfModule(module).find(({ name }) => name === exportName);
    if (!found) return undefined;
    const isAlias = (found.flags & this.#ts.SymbolFlags.Alias) !== 0;
    return this.#checker.getTypeOfSymbol(isAlias ? this.#checker.getAliasedSymbol(found) : found);
  }

  /** As `loadGraph` finds the graph in what is exported: a builder, an agent, a promise, a factory. */
  #compiledGraph(exported: ts.Type, depth = 0): ts.Type | undefined {
    const type = this.#checker.getAwaitedType(exported) ?? exported;
    if (depth > 4) return undefined;
    const inner = this.#property(type, 'graph');
    if (inner && this.#isCompiled(inner)) return inner;
    if (this.#isCompiled(type)) return type;
    const compile = this.#property(type, 'compile');
    const made = (compile ?? type).getCallSignatures()[0]?.getReturnType();
    return made && this.#compiledGraph(made, depth + 1);
  }

  #isCompiled(type: ts.Type): boolean {
    return type.getProperty('~InputType') !== undefined;
  }

  /** The context is what `invoke` takes in its options. */
  #contextOf(graph: ts.Type): ts.Type | undefined {
    const options = this.#property(graph, 'invoke')?.getCallSignatures()[0]?.getParameters()[1];
    const type = options && this.#checker.getNonNullableType(this.#checker.getTypeOfSymbol(options));
    const context = type && this.#property(type, 'context');
    return context && this.#checker.getNonNullableType(context);
  }

  #property(type: ts.Type, name: string): ts.Type | undefined {
    const property = type.getProperty(name);
    return property && this.#checker.getTypeOfSymbol(property);
  }

  #written(types: Record<keyof GraphSchemas, ts.Type | undefined>): TypedSchemas {
    const { Any, Unknown, Never } = this.#ts.TypeFlags;
    const known = Object.entries(types).flatMap(([name, type]) =>
      type && !(type.flags & (Any | Unknown | Never)) ? [[name, jsonSchemaOf(this.#ts, this.#program, type)]] : [],
    );
    return Object.fromEntries(known) as TypedSchemas;
  }
}

/** The package.json of the installed package that a file belongs to; null for the project's own files. */
function packageFileOf(path: string): string | null {
  const folder = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0];
  return folder === undefined ? null : join(folder, 'package.json');
}

function importsAreFound(compiler: Compiler, program: ts.Program, file: ts.SourceFile): boolean {
  return file.statements.every(
    (statement) =>
      !compiler.isImportDeclaration(statement) ||
      !statement.importClause ||
      program.getTypeChecker().getSymbolAtLocation(statement.moduleSpecifier) !== undefined,
  );
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
