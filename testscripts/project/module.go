package project

import (
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/waxosuit/waxo/devhost/manifest"
	"github.com/waxosuit/waxo/devhost/project"
	"github.com/waxosuit/waxo/testscripts/script"
	"github.com/waxosuit/waxo/wascap"
)

func moduleCommands() []command {
	return []command{
		{Command: script.Command{
			Name: "build", Args: "[FOLDER]",
			Short: "Builds the project again, with the files in FOLDER of the script in place of its own, and signs it with the same keys.",
			Long: "The guest that runs goes on; the next `start` or `restart` takes the new module. So it is tested what becomes of data when the next version comes. " +
				"With FOLDER, the project is built in a copy: what its `go.mod` replaces must lie within it.",
			Example: "http POST /\nbuild v2\nrestart\nhttp GET /\njson .count 1\nheader x-version 2\n\n-- v2/version.go --\npackage main\n\nconst version = \"2\"",
		}, run: runBuild},
		{Command: script.Command{
			Name: "claims", Args: "[+CAPABILITY | -CAPABILITY | CLAIM=VALUE]...",
			Short: "Signs the module anew, with more or less capabilities or other claims. The next `start` or `restart` takes it.",
			Long: "Claims are `expires` and `not_before` (a time, `never`, or a duration from the script's clock on such as `1h` or `-1h`), `name`, `version`, `revision` and " +
				"`tags` (with commas between). Those that are not named stay as they are. What `mutate` did to the module is undone.",
			Example: "claims -wascap:keyvalue\n! http GET /\nstatus 500\nlog denied",
		}, run: runClaims},
		{Command: script.Command{
			Name: "mutate", Args: "flip OFFSET | cut BYTES | append HEX",
			Short:   "Changes the signed module: flips a bit of the byte at OFFSET, cuts so many bytes off its end, or appends some.",
			Long:    "A negative offset counts from the end. The next `start` takes the module, or rather refuses it.",
			Example: "mutate flip 100\n! start\nstderr 'module'",
		}, run: runMutate},
		{Command: script.Command{
			Name: "save", Args: "FILE",
			Short:   "Writes the signed module to a file.",
			Example: "save guest.wasm\nexists guest.wasm",
		}, run: runSave},
		{Command: script.Command{
			Name: "load", Args: "FILE",
			Short:   "Takes another signed module from a file, for the next `start` or `restart`.",
			Example: "save guest.wasm\nmutate cut 1\n! start\nload guest.wasm\nstart",
		}, run: runLoad},
	}
}

func runBuild(ctx context.Context, c *call) error {
	if err := c.takes(0, 1); err != nil {
		return err
	}
	dir := filepath.Dir(c.guest.Manifest.Path)
	if len(c.args) == 1 {
		source := dir
		dir = filepath.Join(c.ts.Getenv("WORK"), ".project")
		err := os.RemoveAll(dir)
		for _, folder := range []string{source, c.ts.MkAbs(c.args[0])} {
			if err == nil {
				err = overlay(dir, folder)
			}
		}
		if err != nil {
			return usage{err}
		}
	}
	p, err := project.Open(dir, nil)
	if err != nil {
		return err
	}
	guest, err := c.guest.again(ctx, p)
	if err != nil {
		return errors.New(words(err))
	}
	c.take(guest)
	return nil
}

// overlay copies a folder over another one, without what belongs to a checkout or to
// a run alone.
func overlay(to, from string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case entry.IsDir() && slices.Contains([]string{manifest.StateDir, ".git", ".cache", "node_modules", "target"}, entry.Name()):
			return filepath.SkipDir
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o777)
		case !entry.Type().IsRegular():
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o666)
	})
}

func runClaims(_ context.Context, c *call) error {
	if err := c.takes(1, -1); err != nil {
		return err
	}
	claims := c.claims
	claims.Capabilities = slices.Clone(claims.Capabilities)
	var rest []string
	for _, arg := range c.args {
		switch {
		case strings.HasPrefix(arg, "+"):
			if err := manifest.CheckCapability(arg[1:]); err != nil {
				return usage{err}
			}
			claims.Capabilities = append(claims.Capabilities, arg[1:])
		case strings.HasPrefix(arg, "-"):
			i := slices.Index(claims.Capabilities, arg[1:])
			if i < 0 {
				return usagef("%s is not claimed; there are %s", arg[1:], strings.Join(claims.Capabilities, ", "))
			}
			claims.Capabilities = slices.Delete(claims.Capabilities, i, i+1)
		default:
			rest = append(rest, arg)
		}
	}
	if err := c.setClaims(&claims, rest); err != nil {
		return err
	}
	signed, err := wascap.Sign(c.unsigned, claims, c.guest.account, nil)
	if err != nil {
		return err
	}
	c.claims, c.signed = claims, signed
	return nil
}

// setClaims sets those that are written CLAIM=VALUE.
func (c *call) setClaims(claims *wascap.Claims, args []string) (err error) {
	values, err := pairs(args, "expires", "not_before", "name", "version", "revision", "tags")
	if err != nil {
		return err
	}
	for key, value := range values {
		switch key {
		case "expires":
			claims.Expires, err = c.moment(value)
		case "not_before":
			claims.NotBefore, err = c.moment(value)
		case "name":
			claims.Name = value
		case "version":
			claims.Version = value
		case "revision":
			claims.Revision, err = strconv.Atoi(value)
		case "tags":
			claims.Tags = slices.DeleteFunc(strings.Split(value, ","), func(tag string) bool { return tag == "" })
		}
		if err != nil {
			return usage{err}
		}
	}
	return nil
}

// moment is a time, or a duration from now on, or never.
func (c *call) moment(text string) (time.Time, error) {
	if text == "never" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		return c.clock.now().Add(d), nil
	}
	return parseTime(text)
}

func runMutate(_ context.Context, c *call) error {
	if err := c.takes(2, 2); err != nil {
		return err
	}
	module := slices.Clone(c.signed)
	n, notNumber := strconv.Atoi(c.args[1])
	switch c.args[0] {
	case "flip":
		if n < 0 {
			n += len(module)
		}
		if notNumber != nil || n < 0 || n >= len(module) {
			return usagef("the module has %d bytes, none at %s", len(module), c.args[1])
		}
		module[n] ^= 1
	case "cut":
		if notNumber != nil || n < 1 || n > len(module) {
			return usagef("the module has %d bytes; %s cannot be cut off", len(module), c.args[1])
		}
		module = module[:len(module)-n]
	case "append":
		more, err := hex.DecodeString(c.args[1])
		if err != nil {
			return usage{err}
		}
		module = append(module, more...)
	default:
		return usagef("%q is none of flip, cut and append", c.args[0])
	}
	c.signed = module
	return nil
}

func runSave(_ context.Context, c *call) error {
	if err := c.takes(1, 1); err != nil {
		return err
	}
	if err := os.WriteFile(c.ts.MkAbs(c.args[0]), c.signed, 0o666); err != nil {
		return usage{err}
	}
	return nil
}

func runLoad(_ context.Context, c *call) error {
	if err := c.takes(1, 1); err != nil {
		return err
	}
	module, err := os.ReadFile(c.ts.MkAbs(c.args[0]))
	if err != nil {
		return usage{err}
	}
	// What cannot be read has no claims that stores could be bound by; the start
	// refuses it.
	token, err := wascap.Extract(module)
	if err == nil {
		c.claims = token.Claims
	} else if !errors.As(err, new(*wascap.VerifyError)) && !errors.Is(err, wascap.ErrUnsigned) {
		return err
	}
	c.signed, c.unsigned = module, module
	return nil
}
