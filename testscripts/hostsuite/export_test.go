package hostsuite

import (
	"context"

	"github.com/waxosuit/waxo/testscripts/report"
	"github.com/waxosuit/waxo/testscripts/script"
)

// RunScripts runs other scripts than those of the suite.
func RunScripts(ctx context.Context, opts *Options, scripts []*script.Script) ([]report.Check, error) {
	var subject subject = library{opts.Engine}
	if opts.Engine == nil {
		p, err := newProcesses(opts.Command, opts.Env)
		if err != nil {
			return nil, err
		}
		subject = p
	}
	s := &suite{subject: subject}
	var err error
	if s.survey, err = newSurvey(ctx, s); err != nil {
		return nil, err
	}
	defer s.close()
	return s.run(ctx, opts, scripts, nil)
}
