// Package schemas checks files that this project's own code cannot: against OpenAPI, the Compose specification, the
// types of Kubernetes. It is a module of its own, so that the programs
// do not depend on any of it. `make lint` runs its tests.
package schemas
