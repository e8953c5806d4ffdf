package checks

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"livekit-recorder/infra/template"
	"livekit-recorder/recorder/worker"
)

// container is the recorder's.
func (e *examiner) container() any {
	return at(e.properties("RecorderTask"), "ContainerDefinitions", 0)
}

// checkQueues: starts and controls each have their queue, and their queue of dead letters, with the times that
// recorders count on.
func checkQueues(e *examiner) {
	const day = 24 * 60 * 60
	for queue, dead := range map[string]string{
		"StartQueue":   "StartDeadLetterQueue",
		"ControlQueue": "ControlDeadLetterQueue",
	} {
		q, letters := e.properties(queue), e.properties(dead)
		arn, _ := e.Resolve(template.Node{"Fn::GetAtt": dead + ".Arn"})
		e.want(queue+": dead letters go to", at(q, "RedrivePolicy", "deadLetterTargetArn"), arn)
		// Recorders bring a start to its end at that receive, and not before.
		e.want(queue+": maxReceiveCount", at(q, "RedrivePolicy", "maxReceiveCount"), worker.MaxReceives)
		// A recorder that vanishes is missed after so long; recorders renew every 10 seconds.
		e.want(queue+": VisibilityTimeout", q["VisibilityTimeout"], 30)
		e.want(queue+": ReceiveMessageWaitTimeSeconds", q["ReceiveMessageWaitTimeSeconds"], 20)
		// The ledger remembers for 25 hours what a message may still speak of.
		e.want(queue+": MessageRetentionPeriod", q["MessageRetentionPeriod"], day)
		e.want(dead+": MessageRetentionPeriod", letters["MessageRetentionPeriod"], 14*day)
		e.want(dead+": RedrivePolicy", letters["RedrivePolicy"], nil)
		for name, properties := range map[string]template.Node{queue: q, dead: letters} {
			e.want(name+": SqsManagedSseEnabled", properties["SqsManagedSseEnabled"], true)
			e.want(name+": FifoQueue", properties["FifoQueue"], nil)
			e.want(name+": DelaySeconds", properties["DelaySeconds"], nil)
		}
	}
}

// checkScratch: there is a disk, where the program writes, and as large as it is told.
func checkScratch(e *examiner) {
	task, container := e.properties("RecorderTask"), e.container()
	directory := regexp.MustCompile(`SCRATCH_DIR=(\S+)`).FindStringSubmatch(source("Dockerfile"))
	if directory == nil {
		e.finding("the Dockerfile sets no SCRATCH_DIR")
		return
	}

	e.want("ReadonlyRootFilesystem", at(container, "ReadonlyRootFilesystem"), true)
	volumes := map[string]bool{}
	for _, volume := range items(task["Volumes"]) {
		volumes[fmt.Sprint(at(volume, "Name"))] = true
	}
	mounted := false
	for _, mount := range items(at(container, "MountPoints")) {
		writable := at(mount, "ReadOnly") == nil || at(mount, "ReadOnly") == "false"
		if at(mount, "ContainerPath") == directory[1] && volumes[fmt.Sprint(at(mount, "SourceVolume"))] && writable {
			mounted = true
		}
	}
	if !mounted {
		e.finding("nothing that can be written to is mounted at %s", directory[1])
	}
	if _, set := pairs(at(container, "Environment"))["SCRATCH_DIR"]; set {
		e.finding("SCRATCH_DIR is the image's to say")
	}

	disk := e.between("EphemeralStorage", at(task, "EphemeralStorage", "SizeInGiB"), 21, 200) // Fargate's limits
	limit := strings.TrimSuffix(pairs(at(container, "Environment"))["SCRATCH_LIMIT"], "GiB")
	e.between("SCRATCH_LIMIT in GiB", limit, 10, disk-6) // for the image, and what a file system itself takes
}

// checkStopping: a recorder has the time to hand over that it counts on.
func checkStopping(e *examiner) {
	const mostOfFargate = 120
	stop := e.between("StopTimeout", at(e.container(), "StopTimeout"), 1, mostOfFargate)

	environment := pairs(at(e.container(), "Environment"))
	for _, name := range []string{"STOP_TIMEOUT", "HAND_OVER_TIMEOUT"} {
		text := durationOf(name)
		if set, ok := environment[name]; ok {
			text = set
		}
		needed, err := time.ParseDuration(text)
		if err != nil || time.Duration(stop)*time.Second < needed+5*time.Second {
			e.finding("StopTimeout is %d s, and %s %q", stop, name, text)
		}
	}
}

// durationOf is the recorder's default of a variable, such as 110s; empty if there is none.
func durationOf(name string) string {
	return remembered("default of "+name, func() string {
		reading := regexp.MustCompile(`r\.duration\("` + name + `", (?:(\d+)\*)?time\.(Second|Minute)`)
		found := reading.FindStringSubmatch(source("recorder", "settings.go"))
		if found == nil {
			return ""
		}
		return cmp.Or(found[1], "1") + strings.ToLower(found[2][:1])
	})
}

// fargate are the pairs of processors and memory that Fargate has, as far as they are of use here (ECS developer guide,
// "Task CPU and memory"): memory in MiB.
var fargate = map[string][]string{
	"256":  {"512", "1024", "2048"},
	"512":  {"1024", "2048", "3072", "4096"},
	"1024": {"2048", "3072", "4096", "5120", "6144", "7168", "8192"},
	"2048": {"4096", "5120", "6144", "7168", "8192", "12288", "16384"},
	"4096": {"8192", "9216", "10240", "12288", "16384", "30720"},
}

// checkBuilds: what is built is what is deployed.
func checkBuilds(e *examiner) {
	task := e.properties("RecorderTask")
	cpu, memory := fmt.Sprint(task["Cpu"]), fmt.Sprint(task["Memory"])
	if !slices.Contains(fargate[cpu], memory) {
		e.finding("Fargate has no task with Cpu %s and Memory %s", cpu, memory)
	}
	e.want("RequiresCompatibilities", task["RequiresCompatibilities"], "[FARGATE]")
	e.want("NetworkMode", task["NetworkMode"], "awsvpc")
	e.want("operating system", at(task, "RuntimePlatform", "OperatingSystemFamily"), "LINUX")
	e.want("containers", len(items(task["ContainerDefinitions"])), 1)
	e.want("Essential", at(e.container(), "Essential"), true)
	e.want("Image", at(e.container(), "Image"),
		"123456789012.dkr.ecr.eu-central-1.amazonaws.com/participant-recorder:v1.2.3")

	makefile := source("Makefile")
	platform := regexp.MustCompile(`(?m)^PLATFORM \?= linux/(\S+)$`).FindStringSubmatch(makefile)
	if platform == nil || !strings.Contains(makefile, "--platform $(PLATFORM)") {
		e.finding("make image builds for whatever machine it runs on")
	} else {
		e.want("CpuArchitecture", at(task, "RuntimePlatform", "CpuArchitecture"), strings.ToUpper(platform[1]))
	}

	function := e.properties("ApiFunction")
	e.want("Runtime", function["Runtime"], "provided.al2023")
	e.want("Handler", function["Handler"], "bootstrap")
	e.want("CodeUri", function["CodeUri"], ".")
	e.want("BuildMethod", at(e.Resource("ApiFunction"), "Metadata", "BuildMethod"), "makefile")
	recipe := regexp.MustCompile(`(?m)^build-ApiFunction:\n\t(.*)$`).FindStringSubmatch(makefile)
	if recipe == nil {
		e.finding("make has no target build-ApiFunction")
		return
	}
	architecture := regexp.MustCompile(`GOARCH=(\S+)`).FindStringSubmatch(recipe[1])
	if architecture == nil || !strings.Contains(recipe[1], "$(ARTIFACTS_DIR)/bootstrap") {
		e.finding("make build-ApiFunction does not build what SAM packs: %s", recipe[1])
		return
	}
	e.want("Architectures", function["Architectures"], "["+architecture[1]+"]")
}

// checkCapacity: as many recorders as there always are run on machines that nobody takes away, and of the others as many
// on Spot as was asked for.
func checkCapacity(e *examiner) {
	e.want("CapacityProviders", e.properties("Cluster")["CapacityProviders"], "[FARGATE FARGATE_SPOT]")
	service := e.properties("RecorderService")
	e.want("LaunchType beside the strategy", service["LaunchType"], nil)
	e.want("PropagateTags", service["PropagateTags"], "SERVICE")

	least, _ := e.Resolve(template.Node{"Ref": "MinRecorders"})
	share, _ := e.Resolve(template.Node{"Ref": "SpotShare"})
	percent, _ := strconv.Atoi(fmt.Sprint(share))
	weights := map[string]int{}
	for _, s := range items(service["CapacityProviderStrategy"]) {
		name := fmt.Sprint(at(s, "CapacityProvider"))
		weights[name] = e.between("Weight of "+name, at(s, "Weight"), 0, 1000)
		base := any(nil)
		if name == "FARGATE" && percent > 0 { // or another minimum would be another strategy
			base = least
		}
		e.want("Base of "+name, at(s, "Base"), base)
	}
	// ECS refuses another strategy without a new deployment, so the nonce changes with it, and never without.
	nonce := "0"
	if percent > 0 {
		nonce = fmt.Sprintf("%v-%v", share, least)
	}
	force := service["ForceNewDeployment"]
	e.want("EnableForceNewDeployment", at(force, "EnableForceNewDeployment"), true)
	e.want("ForceNewDeploymentNonce", at(force, "ForceNewDeploymentNonce"), nonce)

	onDemand, spot := weights["FARGATE"], weights["FARGATE_SPOT"]
	if onDemand < 1 || spot*100 != percent*(onDemand+spot) {
		e.finding("%d of %d recorders are on Spot, not %d percent", spot, onDemand+spot, percent)
	}
}

// checkHealth: ECS asks the program that is in the image, and that answers.
func checkHealth(e *examiner) {
	check := at(e.container(), "HealthCheck")
	program := regexp.MustCompile(`COPY .*recorder (/\S+/recorder)\n`).FindStringSubmatch(source("Dockerfile"))
	if program == nil {
		e.finding("the Dockerfile copies no recorder")
		return
	}
	e.want("health check", at(check, "Command"), []string{"CMD", program[1], "health"})
	// ECS API reference, "HealthCheck".
	e.between("health check's Interval", at(check, "Interval"), 5, 300)
	e.between("health check's Timeout", at(check, "Timeout"), 2, 60)
	e.between("health check's Retries", at(check, "Retries"), 2, 10)
	e.between("health check's StartPeriod", at(check, "StartPeriod"), 30, 300)

	address := pairs(at(e.container(), "Environment"))["METRICS_ADDR"]
	if !strings.HasPrefix(address, "127.0.0.1:") {
		e.finding("METRICS_ADDR is %q: it answers to nobody, or to everybody", address)
	}
}

// checkNetwork: recorders call out, and nobody calls them.
func checkNetwork(e *examiner) {
	group := e.properties("RecorderSecurityGroup")
	e.want("SecurityGroupIngress", group["SecurityGroupIngress"], nil)
	e.want("VpcId", group["VpcId"], "vpc-1")
	open := map[string]bool{}
	for _, rule := range items(group["SecurityGroupEgress"]) {
		// Media go to any port of LiveKit, by UDP.
		e.want("IpProtocol", at(rule, "IpProtocol"), "-1")
		open[fmt.Sprint(at(rule, "CidrIp"))], open[fmt.Sprint(at(rule, "CidrIpv6"))] = true, true
	}
	if !open["0.0.0.0/0"] || !open["::/0"] {
		e.finding("recorders cannot reach everything: %v", group["SecurityGroupEgress"])
	}
	for _, name := range slices.Sorted(maps.Keys(e.Section("Resources"))) {
		if kind := e.Resource(name)["Type"]; kind == "AWS::EC2::SecurityGroupIngress" {
			e.finding("%s lets somebody in", name)
		}
	}

	network := at(e.properties("RecorderService"), "NetworkConfiguration", "AwsvpcConfiguration")
	e.want("Subnets", at(network, "Subnets"), "[subnet-1 subnet-2]")
	public, _ := e.Resolve(template.Node{"Ref": "AssignPublicIp"})
	e.want("AssignPublicIp", at(network, "AssignPublicIp"), public)
	own, _ := e.Resolve(template.Node{"Ref": "RecorderSecurityGroup"})
	e.want("SecurityGroups", at(network, "SecurityGroups"), []any{own})
}
