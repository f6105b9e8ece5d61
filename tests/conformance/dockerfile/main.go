// Reads Dockerfiles with BuildKit's own parser and prints one JSON document a line: the text, and what it is to BuildKit:
// a tree or a refusal. The corpus is whatever BuildKit's module brings: its parser's test files, its own Dockerfiles, and
// every Dockerfile that stands in its tests; and files with further texts, a line of dashes between them.
//
// usage: trees MODULE-FOLDER [TEXTS...]
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	dockerfile "github.com/moby/buildkit/frontend/dockerfile/parser"
)

type object map[string]any

var (
	from   = regexp.MustCompile(`(?mi)^\s*FROM\s+\S`)
	prefix = regexp.MustCompile(`^dockerfile parse error on line \d+: `)
	seen   = map[string]bool{}
	out    = json.NewEncoder(os.Stdout)
)

func main() {
	module := os.Args[1]
	check(filepath.WalkDir(module, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, base := strings.TrimPrefix(path, module+"/"), entry.Name()
		switch {
		case strings.HasPrefix(name, "vendor/"):
		case strings.HasPrefix(base, "Dockerfile"), strings.HasSuffix(base, ".Dockerfile"):
			text, err := os.ReadFile(path)
			check(err)
			tell(name, string(text))
		case strings.HasSuffix(base, "_test.go") && strings.HasPrefix(name, "frontend/dockerfile/"):
			literals(name, path)
		}
		return nil
	}))
	for _, path := range os.Args[2:] {
		text, err := os.ReadFile(path)
		check(err)
		for number, text := range strings.Split(string(text), "\n-----\n") {
			tell(fmt.Sprintf("%s %d", filepath.Base(path), number+1), text)
		}
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Texts in a Go file that look like a Dockerfile.
func literals(name, path string) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, 0)
	check(err)
	ast.Inspect(file, func(node ast.Node) bool {
		if literal, ok := node.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			text, err := strconv.Unquote(literal.Value)
			check(err)
			if from.MatchString(text) {
				tell(fmt.Sprintf("%s:%d", name, files.Position(literal.Pos()).Line), text)
			}
		}
		return true
	})
}

func tell(name, text string) {
	if seen[text] {
		return
	}
	seen[text] = true
	said := object{"name": name, "text": text}
	if tree, err := read(text); err != nil {
		said["refusal"] = prefix.ReplaceAllString(err.Error(), "")
	} else {
		said["tree"] = tree
	}
	check(out.Encode(said))
}

func read(text string) (object, error) {
	parsed, err := dockerfile.Parse(bytes.NewReader([]byte(text)))
	if err != nil {
		return nil, err
	}
	stages, global, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		return nil, err
	}
	if len(stages) == 0 {
		// The parser takes it; what makes a build of it does not.
		return nil, errors.New("dockerfile contains no stages to build")
	}
	tree := object{"args": []any{}, "stages": []any{}}
	for _, arg := range global {
		tree["args"] = append(tree["args"].([]any), args(arg.Args)...)
	}
	for _, stage := range stages {
		// Mounts are judged when they are expanded; where there is nothing to expand, that may be at once.
		for _, command := range stage.Commands {
			if run, ok := command.(*instructions.RunCommand); ok && !strings.Contains(run.String(), "$") {
				if err := run.Expand(func(word string) (string, error) { return word, nil }); err != nil {
					return nil, err
				}
			}
		}
		commands := []any{}
		for _, command := range stage.Commands {
			told := describe(command)
			told["lines"] = lines(command.Location())
			commands = append(commands, told)
		}
		tree["stages"] = append(tree["stages"].([]any), object{
			"base": stage.BaseName, "name": stage.Name, "platform": stage.Platform,
			"lines": lines(stage.Location), "commands": commands,
		})
	}
	return tree, nil
}

func lines(ranges []dockerfile.Range) []int {
	return []int{ranges[0].Start.Line, ranges[len(ranges)-1].End.Line}
}

func args(list []instructions.KeyValuePairOptional) []any {
	all := []any{}
	for _, arg := range list {
		all = append(all, []any{arg.Key, arg.Value})
	}
	return all
}

func pairs(list instructions.KeyValuePairs) []any {
	all := []any{}
	for _, pair := range list {
		all = append(all, []string{pair.Key, pair.Value})
	}
	return all
}

func list(words []string) []string {
	return append([]string{}, words...)
}

func commandLine(line instructions.ShellDependantCmdLine) any {
	if line.PrependShell {
		return strings.Join(line.CmdLine, " ")
	}
	return list(line.CmdLine)
}

func sources(kind string, from instructions.SourcesAndDest, more object) object {
	inline := []any{}
	for _, one := range from.SourceContents {
		inline = append(inline, []any{one.Path, one.Data, one.Expand})
	}
	more["kind"], more["paths"], more["inline"], more["target"] = kind, list(from.SourcePaths), inline, from.DestPath
	return more
}

func describe(command instructions.Command) object {
	switch c := command.(type) {
	case *instructions.AddCommand:
		return sources("ADD", c.SourcesAndDest, object{"chown": c.Chown, "chmod": c.Chmod, "link": c.Link,
			"exclude": list(c.ExcludePatterns), "checksum": c.Checksum, "keep_git_dir": c.KeepGitDir, "unpack": c.Unpack})
	case *instructions.CopyCommand:
		return sources("COPY", c.SourcesAndDest, object{"chown": c.Chown, "chmod": c.Chmod, "link": c.Link,
			"exclude": list(c.ExcludePatterns), "from": c.From, "parents": c.Parents})
	case *instructions.RunCommand:
		heredocs := []any{}
		for _, file := range c.Files {
			heredocs = append(heredocs, []any{file.Name, file.Data, file.Chomp})
		}
		return object{"kind": "RUN", "command": commandLine(c.ShellDependantCmdLine), "heredocs": heredocs,
			"mounts": len(instructions.GetMounts(c)), "network": instructions.GetNetwork(c), "security": instructions.GetSecurity(c)}
	case *instructions.ArgCommand:
		return object{"kind": "ARG", "args": args(c.Args)}
	case *instructions.EnvCommand:
		return object{"kind": "ENV", "pairs": pairs(c.Env)}
	case *instructions.LabelCommand:
		return object{"kind": "LABEL", "pairs": pairs(c.Labels)}
	case *instructions.CmdCommand:
		return object{"kind": "CMD", "command": commandLine(c.ShellDependantCmdLine)}
	case *instructions.EntrypointCommand:
		return object{"kind": "ENTRYPOINT", "command": commandLine(c.ShellDependantCmdLine)}
	case *instructions.ExposeCommand:
		return object{"kind": "EXPOSE", "ports": list(c.Ports)}
	case *instructions.HealthCheckCommand:
		h := c.Health
		return object{"kind": "HEALTHCHECK", "test": list(h.Test), "retries": h.Retries,
			"times": []int64{int64(h.Interval), int64(h.Timeout), int64(h.StartPeriod), int64(h.StartInterval)}}
	case *instructions.MaintainerCommand:
		return object{"kind": "MAINTAINER", "word": c.Maintainer}
	case *instructions.OnbuildCommand:
		return object{"kind": "ONBUILD", "word": c.Expression}
	case *instructions.ShellCommand:
		return object{"kind": "SHELL", "words": list(c.Shell)}
	case *instructions.StopSignalCommand:
		return object{"kind": "STOPSIGNAL", "word": c.Signal}
	case *instructions.UserCommand:
		return object{"kind": "USER", "word": c.User}
	case *instructions.VolumeCommand:
		return object{"kind": "VOLUME", "words": list(c.Volumes)}
	case *instructions.WorkdirCommand:
		return object{"kind": "WORKDIR", "word": c.Path}
	}
	panic(fmt.Sprintf("what is %T?", command))
}
