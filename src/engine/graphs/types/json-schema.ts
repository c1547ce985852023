import type ts from '@typescript/typescript6';
import type { Json, JsonObject } from '../../../core/json.ts';

type Compiler = typeof ts;

/** Types that unfold into ever new ones end here. */
const MAX_DEPTH = 32;
const MESSAGE = 'BaseMessage';

/** What a message is on the wire, given or taken. Clients know it by the definition's name. */
const MESSAGE_SCHEMA: JsonObject = {
  type: 'object',
  properties: {
    type: { type: 'string' },
    role: { type: 'string' },
    content: { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'object' } }] },
    id: { type: 'string' },
    name: { type: 'string' },
    tool_calls: { type: 'array', items: { type: 'object' } },
    additional_kwargs: { type: 'object' },
    response_metadata: { type: 'object' },
  },
};

/**
 * A type as JSON Schema (draft 7, as the official server's), in the form that its values have as JSON. What has no such
 * form is left open.
 */
export function jsonSchemaOf(compiler: Compiler, program: ts.Program, type: ts.Type): JsonObject {
  return new SchemaWriter(compiler, program).root(type);
}

class SchemaWriter {
  readonly #ts: Compiler;
  readonly #program: ts.Program;
  readonly #checker: ts.TypeChecker;
  readonly #definitions: Record<string, JsonObject> = {};
  readonly #names = new Map<ts.Type, string>();
  readonly #open = new Set<ts.Type>();

  constructor(compiler: Compiler, program: ts.Program) {
    this.#ts = compiler;
    this.#program = program;
    this.#checker = program.getTypeChecker();
  }

  root(type: ts.Type): JsonObject {
    const schema = this.#inPlace(type);
    return {
      $schema: 'http://json-schema.org/draft-07/schema#',
      ...schema,
      ...(Object.keys(this.#definitions).length > 0 && { definitions: this.#definitions }),
    };
  }

  #write(type: ts.Type): JsonObject {
    if (this.#isMessage(type)) return this.#message();
    return this.#nameOf(type) === null ? this.#inPlace(type) : this.#reference(type);
  }

  /** Named structures stand once, under their name: they may hold themselves. */
  #reference(type: ts.Type): JsonObject {
    let name = this.#names.get(type);
    if (name === undefined) {
      name = this.#freeName(this.#nameOf(type) ?? '');
      this.#names.set(type, name);
      this.#definitions[name] = {};
      this.#definitions[name] = this.#inPlace(type);
    }
    return { $ref: `#/definitions/${name}` };
  }

  #freeName(name: string): string {
    let free = name;
    for (let n = 2; free in this.#definitions; n += 1) free = `${name}_${n}`;
    return free;
  }

  #inPlace(type: ts.Type): JsonObject {
    if (this.#open.has(type) || this.#open.size > MAX_DEPTH) return {};
    this.#open.add(type);
    try {
      return this.#simple(type) ?? this.#structure(type);
    } finally {
      this.#open.delete(type);
    }
  }

  /** Null for what consists of others. */
  #simple(type: ts.Type): JsonObject | null {
    const { TypeFlags } = this.#ts;
    if (type.flags & TypeFlags.Null) return { type: 'null' };
    if (type.isStringLiteral() || type.isNumberLiteral()) return { type: typeof type.value, const: type.value };
    if (type.flags & TypeFlags.BooleanLiteral) {
      return { type: 'boolean', const: this.#checker.typeToString(type) === 'true' };
    }
    if (type.flags & TypeFlags.StringLike && !type.isUnion()) return { type: 'string' };
    if (type.flags & TypeFlags.NumberLike && !type.isUnion()) return { type: 'number' };
    if (type.flags & TypeFlags.Boolean) return { type: 'boolean' };
    return null;
  }

  #structure(type: ts.Type): JsonObject {
    if (type.isUnion()) return this.#union(type);
    if (this.#checker.isTupleType(type)) return this.#tuple(type as ts.TupleTypeReference);
    if (this.#checker.isArrayType(type)) return this.#array(type as ts.TypeReference);
    if (this.#isDeclared(type) && this.#isOfLibrary(type.symbol)) {
      return type.symbol.name === 'Date' ? { type: 'string', format: 'date-time' } : {};
    }
    const isObject = type.isIntersection() || (type.flags & this.#ts.TypeFlags.Object) !== 0;
    return isObject && type.getCallSignatures().length === 0 ? this.#object(type) : {};
  }

  #union({ types }: ts.UnionType): JsonObject {
    const { Null } = this.#ts.TypeFlags;
    const members = types
      .filter((member) => !this.#isAbsent(member) && !this.#isOverwrite(member))
      .sort((left, right) => (left.flags & Null) - (right.flags & Null));
    if (members.some((member) => this.#isMessages(member))) return this.#messages();
    const schemas = members.map((member) => this.#write(member));
    const values = schemas.filter((schema) => 'const' in schema);
    const others = schemas.filter((schema) => !('const' in schema));
    const alternatives = unique([...enumerate(values), ...others]);
    if (alternatives.some((schema) => Object.keys(schema).length === 0)) return {};
    return alternatives.length === 1 && alternatives[0] ? alternatives[0] : { anyOf: alternatives };
  }

  #array(type: ts.TypeReference): JsonObject {
    if (this.#isMessages(type)) return this.#messages();
    const [item] = this.#checker.getTypeArguments(type);
    return { type: 'array', items: item ? this.#write(item) : {} };
  }

  #tuple(type: ts.TupleTypeReference): JsonObject {
    const { minLength, fixedLength, hasRestElement } = type.target;
    const items = this.#checker.getTypeArguments(type).map((item) => this.#write(item));
    return {
      type: 'array',
      items: items.slice(0, fixedLength),
      minItems: minLength,
      ...(hasRestElement ? { additionalItems: items[fixedLength] ?? {} } : { maxItems: items.length }),
    };
  }

  #object(type: ts.Type): JsonObject {
    const properties: Record<string, JsonObject> = {};
    const required: string[] = [];
    for (const property of this.#checker.getPropertiesOfType(type)) {
      const valueType = this.#checker.getTypeOfSymbol(property);
      // Keys that are symbols, and methods: JSON has neither.
      if (property.name.startsWith('__@') || this.#isFunction(valueType)) continue;
      const description = this.#ts.displayPartsToString(property.getDocumentationComment(this.#checker));
      properties[property.name] = { ...this.#write(valueType), ...(description && { description }) };
      if (!(property.flags & this.#ts.SymbolFlags.Optional) && !this.#mayBeAbsent(valueType)) {
        required.push(property.name);
      }
    }
    const others = this.#checker.getIndexInfoOfType(type, this.#ts.IndexKind.String);
    return {
      type: 'object',
      ...((Object.keys(properties).length > 0 || !others) && { properties }),
      ...(required.length > 0 && { required }),
      ...(others && { additionalProperties: this.#write(others.type) }),
    };
  }

  #message(): JsonObject {
    this.#definitions[MESSAGE] ??= MESSAGE_SCHEMA;
    return { $ref: `#/definitions/${MESSAGE}` };
  }

  /** The mark is LangGraph's own, of its zod schemas: by it a client offers a chat. */
  #messages(): JsonObject {
    return { type: 'array', items: this.#message(), langgraph_type: 'messages' };
  }

  #isMessages(type: ts.Type): boolean {
    if (!this.#checker.isArrayType(type)) return false;
    const [item] = this.#checker.getTypeArguments(type as ts.TypeReference);
    return item !== undefined && partsOf(item).some((part) => this.#isMessage(part));
  }

  #isMessage(type: ts.Type): boolean {
    if (type.symbol?.name === MESSAGE) return true;
    return type.isClassOrInterface() || this.#isReference(type)
      ? (type.getBaseTypes() ?? []).some((base) => this.#isMessage(base))
      : false;
  }

  #isReference(type: ts.Type): boolean {
    return (type.flags & this.#ts.TypeFlags.Object) !== 0 && 'target' in type;
  }

  /** Null for what has no name of its own, and for what is short enough without. */
  #nameOf(type: ts.Type): string | null {
    const { TypeFlags, SymbolFlags } = this.#ts;
    if (!(type.flags & (TypeFlags.Object | TypeFlags.UnionOrIntersection)) || this.#checker.isArrayLikeType(type)) {
      return null;
    }
    if (partsOf(type).every((part) => this.#simple(part) !== null || this.#isAbsent(part))) return null;
    const symbol = type.aliasSymbol ?? type.symbol;
    const { Class, Interface, TypeAlias } = SymbolFlags;
    if (!symbol || !(symbol.flags & (Class | Interface | TypeAlias)) || this.#isOfLibrary(symbol)) return null;
    const name = this.#checker.typeToString(type).replaceAll(/\W+/g, '_').replace(/_$/, '');
    return name.length > 80 ? symbol.name : name;
  }

  /** `Map` is; what `Record` makes is not: that is only a way to write a type. */
  #isDeclared({ symbol }: ts.Type): boolean {
    const { Class, Interface } = this.#ts.SymbolFlags;
    return symbol !== undefined && (symbol.flags & (Class | Interface)) !== 0;
  }

  #isOfLibrary(symbol: ts.Symbol): boolean {
    return (symbol.declarations ?? []).some((declaration) =>
      this.#program.isSourceFileDefaultLibrary(declaration.getSourceFile()),
    );
  }

  #isFunction(type: ts.Type): boolean {
    const parts = partsOf(type).filter((part) => !this.#isAbsent(part));
    return parts.length > 0 && parts.every((part) => part.getCallSignatures().length > 0);
  }

  #isAbsent(type: ts.Type): boolean {
    return (type.flags & (this.#ts.TypeFlags.Undefined | this.#ts.TypeFlags.Void)) !== 0;
  }

  #mayBeAbsent(type: ts.Type): boolean {
    const isOpen = (type.flags & (this.#ts.TypeFlags.Any | this.#ts.TypeFlags.Unknown)) !== 0;
    return isOpen || partsOf(type).some((part) => this.#isAbsent(part));
  }

  /** With it an update passes a reducer by: nobody types that into a form. */
  #isOverwrite(type: ts.Type): boolean {
    return type.getProperty('__overwrite__') !== undefined || type.symbol?.name === 'Overwrite';
  }
}

function partsOf(type: ts.Type): readonly ts.Type[] {
  return type.isUnion() ? type.types : [type];
}

function enumerate(values: JsonObject[]): JsonObject[] {
  const isBoolean = (schema: JsonObject): boolean => schema['type'] === 'boolean';
  const booleans = values.filter(isBoolean);
  const rest = values.filter((schema) => !isBoolean(schema));
  const types = [...new Set(rest.map((schema) => schema['type'] as Json))];
  return [
    ...(booleans.length === 2 ? [{ type: 'boolean' }] : booleans),
    ...(rest.length > 1
      ? [{ ...(types.length === 1 && { type: types[0] }), enum: rest.map((schema) => schema['const'] as Json) }]
      : rest),
  ];
}

function unique(schemas: JsonObject[]): JsonObject[] {
  return [...new Map(schemas.map((schema) => [JSON.stringify(schema), schema])).values()];
}
