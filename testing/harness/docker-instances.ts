import Dockerode from 'dockerode';

const INSTALLATION_LABEL = 'ebb.installation';

/** The containers of an installation that are there, with their state; removed ones are not. */
export async function listInstances(
  socketPath: string,
  installation: string,
): Promise<readonly { readonly id: string; readonly instance: string; readonly state: string }[]> {
  const docker = new Dockerode({ socketPath });
  const found = await docker.listContainers({
    all: true,
    filters: { label: [`${INSTALLATION_LABEL}=${installation}`, 'ebb.instance'] },
  });
  return found.map((container) => ({
    id: container.Id,
    instance: container.Labels['ebb.instance'] ?? '',
    state: container.State,
  }));
}

/** Removes what the servers of a test left on the daemon. */
export async function removeInstances(socketPath: string, installations: ReadonlySet<string>): Promise<void> {
  const docker = new Dockerode({ socketPath });
  for (const installation of installations) {
    const filters = { label: [`${INSTALLATION_LABEL}=${installation}`] };
    for (const { Id } of await docker.listContainers({ all: true, filters })) {
      await docker
        .getContainer(Id)
        .remove({ force: true, v: true })
        .catch(() => {});
    }
    for (const { Id } of await docker.listNetworks({ filters })) {
      await docker
        .getNetwork(Id)
        .remove()
        .catch(() => {});
    }
  }
}
