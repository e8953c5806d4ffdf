package command

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Bounds of a recording's own webhooks.
const (
	MaxWebhooks     = 3
	maxWebhookBytes = 1024
	maxHostBytes    = 200
)

// hostName is a name as DNS has it, or an IPv4 address; names of other scripts are written in Punycode.
var hostName = regexp.MustCompile(`^[A-Za-z0-9_](\.?[A-Za-z0-9_-])*\.?$`)

// ValidateWebhooks checks the addresses of a recording's own webhooks, as far as they can be checked by their looks:
// what their names lead to is checked by whoever calls them.
func ValidateWebhooks(webhooks []string) error {
	if len(webhooks) > MaxWebhooks {
		return fieldError("webhooks", "has %d of them, at most %d are allowed", len(webhooks), MaxWebhooks)
	}
	for n, text := range webhooks {
		to, err := url.Parse(text)
		switch {
		case len(text) > maxWebhookBytes:
			return fieldError("webhooks", "has an address of %d bytes, at most %d are allowed", len(text), maxWebhookBytes)
		case err != nil || to.Scheme != "https" && to.Scheme != "http" || !validHost(to.Hostname()):
			return fieldError("webhooks", "must be addresses like https://example.com/hook")
		case to.User != nil || to.Fragment != "":
			return fieldError("webhooks", "must be addresses without user, password and fragment")
		case slices.Contains(webhooks[:n], text):
			return fieldError("webhooks", "has the same address twice")
		}
	}
	return nil
}

func validHost(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Zone() == ""
	}
	return len(host) <= maxHostBytes && hostName.MatchString(host)
}

// ValidatePublic checks that webhooks are called with TLS, and on the internet, as far as their looks say.
func ValidatePublic(webhooks []string) error {
	for _, text := range webhooks {
		to, err := url.Parse(text)
		if err != nil || to.Scheme != "https" {
			return fieldError("webhooks", "must be https addresses")
		}
		host := strings.ToLower(strings.TrimSuffix(to.Hostname(), "."))
		ip, err := netip.ParseAddr(host)
		if err == nil && !Public(ip) || host == "localhost" || strings.HasSuffix(host, ".localhost") {
			return fieldError("webhooks", "must be addresses on the internet")
		}
	}
	return nil
}

// reserved are addresses that lead to nobody on the internet, or, wrapped, to those that do not, beside those that
// package netip knows by name (IANA's registries of special-purpose addresses).
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network
	netip.MustParsePrefix("100.64.0.0/10"),   // between a provider and its customers
	netip.MustParsePrefix("192.0.0.0/24"),    // protocols
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"), // documentation
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, and broadcast
	netip.MustParsePrefix("::/96"),           // IPv4 in the oldest notation
	netip.MustParsePrefix("64:ff9b::/96"),    // IPv4 behind a translator
	netip.MustParsePrefix("64:ff9b:1::/48"),  // the same, of a network's own
	netip.MustParsePrefix("100::/64"),        // nobody
	netip.MustParsePrefix("2001::/23"),       // protocols, Teredo among them
	netip.MustParsePrefix("2001:db8::/32"),   // documentation
	netip.MustParsePrefix("2002::/16"),       // IPv4 in IPv6 (6to4)
	netip.MustParsePrefix("fec0::/10"),       // of a site, as it was once
}

// Public says whether an address is on the internet.
func Public(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	return ip.IsGlobalUnicast() && !ip.IsPrivate() &&
		!slices.ContainsFunc(reserved, func(p netip.Prefix) bool { return p.Contains(ip) })
}
