/** Amounts of memory, CPU and devices, as written. */
export type Amounts = Readonly<Record<string, string>>;

/** A function as its OpenFaaS deployment says it, in the field names of that API. */
export interface OpenFaasDeployment {
  readonly service: string;
  readonly namespace: string;
  readonly image: string;
  readonly envProcess?: string;
  readonly envVars: Readonly<Record<string, string>>;
  readonly constraints: readonly string[];
  readonly secrets: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly limits?: Amounts;
  readonly requests?: Amounts;
  readonly readOnlyRootFilesystem: boolean;
}

/** How the image of a function is made from its code. */
export interface ImageBuild {
  /** Name of the template, or `dockerfile`. */
  readonly lang: string;
  /** Directory of the code, absolute. */
  readonly handlerDir: string;
  readonly args: Readonly<Record<string, string>>;
  readonly options: readonly string[];
  /** Files by the names under which the build mounts them, absolute. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly platforms?: string;
  /** Further directories that go into the build, absolute. */
  readonly copy: readonly string[];
  /** Where the folder `template` is. */
  readonly baseDir: string;
}

/** A function that is brought over, with what its source says beyond the deployment. */
export interface ImportedFunction {
  readonly deployment: OpenFaasDeployment;
  /** Set where the source names code and not only an image. */
  readonly build?: ImageBuild;
  /** What the source says that does not come over, in sentences without the function's name. */
  readonly notes: readonly string[];
}

/** All that is brought over from one place. */
export interface ImportSource {
  /** Where it comes from, for people. */
  readonly from: string;
  readonly functions: readonly ImportedFunction[];
  /** Secrets known by name there, beyond those that functions name. */
  readonly secrets: readonly { readonly namespace: string; readonly name: string }[];
  /** What does not come over and belongs to no function. */
  readonly notes: readonly string[];
}
