package plugin

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/waxosuit/waxo/capability/internal/plugincontract"
)

// greeting is the first line of a plugin.
type greeting struct {
	network, address string
	certificate      *x509.Certificate // by which the host knows the plugin
}

// environment is what a plugin is told of the host, beside the options' own.
func environment(sockets, certificate string) []string {
	return []string{
		plugincontract.CookieKey + "=" + plugincontract.CookieValue,
		"PLUGIN_PROTOCOL_VERSIONS=" + strconv.Itoa(plugincontract.Version),
		"PLUGIN_CLIENT_CERT=" + certificate,
		"PLUGIN_UNIX_SOCKET_DIR=" + sockets,
		"PLUGIN_MIN_PORT=10000", // go-plugin has no defaults of its own for these
		"PLUGIN_MAX_PORT=25000",
	}
}

// parseHandshake reads the first line of a plugin. What a later go-plugin may add
// to its end is passed over.
func parseHandshake(line string) (*greeting, error) {
	parts := strings.Split(line, "|")
	if _, err := strconv.Atoi(parts[0]); err != nil || len(parts) < 5 {
		return nil, fmt.Errorf("the first line that it wrote to standard output is no handshake of a plugin: %s", quote(line))
	}
	switch {
	case parts[0] != strconv.Itoa(plugincontract.CoreVersion):
		return nil, fmt.Errorf("it speaks version %s of go-plugin's protocol instead of %d", quote(parts[0]), plugincontract.CoreVersion)
	case parts[1] != strconv.Itoa(plugincontract.Version):
		return nil, fmt.Errorf("it speaks version %s of the provider protocol, this host version %d: build it against the version of waxo that runs it", quote(parts[1]), plugincontract.Version)
	case parts[2] != "unix" && parts[2] != "tcp":
		return nil, fmt.Errorf("it listens on %s instead of unix or tcp", quote(parts[2]))
	case parts[4] != "grpc":
		return nil, fmt.Errorf("it speaks %s instead of grpc", quote(parts[4]))
	case len(parts) < 6 || parts[5] == "":
		return nil, errors.New("its handshake has no certificate, and without one there is no telling who answers")
	}
	der, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil {
		return nil, fmt.Errorf("the certificate in its handshake is no base64 without padding: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("the certificate in its handshake cannot be read: %w", err)
	}
	return &greeting{network: parts[2], address: parts[3], certificate: certificate}, nil
}
