package api

import (
	"errors"
	"fmt"
	"net/http"

	"livekit-recorder/shared/command"
)

// problem is an error answer.
type problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Field   string `json:"field,omitempty"`

	status int
	allow  string // methods, for 405
	cause  error
}

func (p *problem) Error() string { return p.Message }

func invalid(field, format string, args ...any) *problem {
	return &problem{
		status:  http.StatusBadRequest,
		Code:    "invalid",
		Message: fmt.Sprintf(format, args...),
		Field:   field,
	}
}

func unauthenticated(message string) *problem {
	return &problem{status: http.StatusUnauthorized, Code: "unauthenticated", Message: message}
}

func forbidden(field, message string) *problem {
	return &problem{
		status:  http.StatusForbidden,
		Code:    "forbidden",
		Message: message,
		Field:   field,
	}
}

func notFound(field, message string) *problem {
	return &problem{
		status:  http.StatusNotFound,
		Code:    "not_found",
		Message: message,
		Field:   field,
	}
}

func notAllowed(method, allowed string) *problem {
	return &problem{
		status:  http.StatusMethodNotAllowed,
		Code:    "method_not_allowed",
		Message: method + " is not allowed here, only " + allowed,
		allow:   allowed,
	}
}

// unavailable is an answer after which the caller should try again: LiveKit does so for its webhooks.
func unavailable(message string, cause error) *problem {
	return &problem{
		status:  http.StatusServiceUnavailable,
		Code:    "unavailable",
		Message: message,
		cause:   cause,
	}
}

func asProblem(err error) *problem {
	var p *problem
	var field *command.FieldError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &field):
		return invalid(field.Field, "%s", field.Error())
	}

	return &problem{
		status:  http.StatusInternalServerError,
		Code:    "internal",
		Message: "internal error",
		cause:   err,
	}
}
