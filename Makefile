# Everything a person or a machine runs. `make demo` and `make test` set up what they need (see infra/tools.sh).
.PHONY: help demo up test simulate fidelity chaos load hostile price lint audit bench build build-ApiFunction image push clean
.DELETE_ON_ERROR:

build_dir := $(CURDIR)/.tools/build
# A child of make must get Ctrl-C itself: exec keeps the recipe's shell out of the way.
local := exec $(build_dir)/local
# What the programs say of themselves (`recorder -version`, and the first line of their logs), and the image's tag. Another
# name for the version than git's: VERSION=name. `sam deploy --guided` writes its answers into samconfig.toml, which is in
# no program: that alone makes nothing dirty.
dirty = $(shell git diff --quiet HEAD -- . ':!samconfig.toml' 2>/dev/null; [ $$? -ne 1 ] || echo -dirty)
VERSION ?= $(shell git describe --tags --always 2>/dev/null || echo unknown)$(dirty)
COMMIT := $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
stamp := -X livekit-recorder/shared/version.version=$(VERSION) -X livekit-recorder/shared/version.commit=$(COMMIT)

help:
	@echo "make demo      record two participants end to end on this machine, and check the files"
	@echo "make up        the same local system in the foreground, to play with"
	@echo "make test      all tests, with the real components"
	@echo "make simulate  a whole fleet in virtual time, with random faults, checked frame by frame (SEEDS=1-1000)"
	@echo "make fidelity  measure recordings of difficult calls (ONLY=part-of-a-name, FIDELITY_MINUTES=10 for a long one)"
	@echo "make chaos     kill recorders and cut off S3, SQS and LiveKit, and check what was lost (OUTAGE=10m)"
	@echo "make load      what one recorder takes, beside the least that is possible (PEOPLE=1,40 MEDIA=vp8,h264,audio)"
	@echo "make hostile   people who send what no browser would, beside honest ones (ONLY=part-of-a-name, SECONDS=12)"
	@echo "make price     count requests to AWS, and what an hour of a participant costs (MINUTES=5 CPU_SECONDS=0.7)"
	@echo "make lint      gofmt, go vet, staticcheck, the deployment files against their schemas, and cfn-lint where it is"
	@echo "make audit     look for known vulnerabilities in what the programs call (govulncheck)"
	@echo "make bench     benchmarks"
	@echo "make build     the programs, into .tools/build"
	@echo "make image     the recorder's container image for linux/arm64, on any machine (needs Docker with buildx)"
	@echo "make push      that image into ECR (see infra/DEPLOYMENT.md)"
	@echo "make clean     remove .tools: everything that was built or downloaded"

build:
	@mkdir -p $(build_dir)
	@go build -buildvcs=false -ldflags '$(stamp)' -o $(build_dir)/ ./recorder ./infra/local
	@go build -buildvcs=false -ldflags '$(stamp)' -o $(build_dir)/bootstrap ./functions/lambda
	@go build -buildvcs=false -ldflags '$(stamp)' -o $(build_dir)/api ./functions/server

demo: build
	@infra/tools.sh system
	@$(local) demo

up: build
	@infra/tools.sh system
	@$(local) up

# -count=1: the end-to-end tests run programs that go test does not know to depend on.
# -p 1: they measure time, and would measure the other packages' tests as well.
test:
	@infra/tools.sh system browser
	go test -count=1 -p 1 -parallel 6 -timeout 30m ./...

# Needs nothing but Go: everything outside of the programs is simulated.
SEEDS ?= 1-1000
simulate:
	@go run -buildvcs=false ./infra/simulate/play -seeds $(SEEDS)

fidelity: build
	@infra/tools.sh system browser
	@$(local) fidelity

chaos: build
	@infra/tools.sh system
	@$(local) chaos

load: build
	@infra/tools.sh system
	@$(local) load

hostile: build
	@infra/tools.sh system
	@$(local) hostile

price: build
	@infra/tools.sh system
	@$(local) price

lint:
	@infra/tools.sh lint
	@unformatted=$$(gofmt -l functions recorder shared infra); [ -z "$$unformatted" ] || { echo "gofmt would change: $$unformatted"; exit 1; }
	go vet ./...
	.tools/bin/staticcheck ./...
	.tools/bin/actionlint
	cd infra/schemas && go vet ./... && go test ./...
	@if command -v cfn-lint >/dev/null; then \
		mkdir -p $(build_dir) && infra/checks/translate.py template.yaml >$(build_dir)/translated.json && \
		cfn-lint template.yaml infra/repository.yaml $(build_dir)/translated.json; \
	else echo "lint: cfn-lint is not installed: names and values in template.yaml are looked at by infra/checks alone"; fi

# Not part of lint: what is known changes without anything changing here.
audit:
	@infra/tools.sh audit
	.tools/bin/govulncheck -db "file://$(CURDIR)/.tools/vulnerabilities" ./functions/... ./recorder/... ./shared/...

bench:
	go test -run '^$$' -bench . -benchmem ./recorder/... ./shared/...

# sam build calls this one: the function's name in template.yaml is ApiFunction.
build-ApiFunction:
	GOOS=linux GOARCH=arm64 CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags '-s -w $(stamp)' -tags lambda.norpc -o $(ARTIFACTS_DIR)/bootstrap ./functions/lambda

# The task in template.yaml wants arm64, whatever this machine is.
PLATFORM ?= linux/arm64
image:
	docker buildx build --platform $(PLATFORM) --load --build-arg VERSION=$(VERSION) --build-arg COMMIT=$(COMMIT) \
		-t participant-recorder:$(VERSION) .

push:
	@infra/push.sh participant-recorder:$(VERSION)

clean:
	rm -rf .tools
