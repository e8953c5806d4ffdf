package scaling

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"strconv"
)

// missing is what a metric is that has no data.
var missing = math.NaN()

// values are those of metrics at one time, by id.
type values map[string]float64

// calculate evaluates as much of CloudWatch's metric math as the template uses (CloudWatch user guide, "Using math
// expressions with CloudWatch metrics"). Its operators are Go's. What is calculated from missing data is missing.
func calculate(expression string, with values) (float64, error) {
	parsed, err := parser.ParseExpr(expression)
	if err != nil {
		return 0, fmt.Errorf("read %q: %w", expression, err)
	}
	return with.of(parsed)
}

func (v values) of(expression ast.Expr) (float64, error) {
	switch e := expression.(type) {
	case *ast.ParenExpr:
		return v.of(e.X)
	case *ast.BasicLit:
		return strconv.ParseFloat(e.Value, 64)
	case *ast.Ident:
		if value, ok := v[e.Name]; ok {
			return value, nil
		}
		return 0, fmt.Errorf("there is no metric %s", e.Name)
	case *ast.BinaryExpr:
		return v.binary(e)
	case *ast.CallExpr:
		return v.call(e)
	}
	return 0, fmt.Errorf("%T is not modelled", expression)
}

func (v values) binary(e *ast.BinaryExpr) (float64, error) {
	x, err := v.of(e.X)
	if err != nil {
		return 0, err
	}
	y, err := v.of(e.Y)
	if err != nil {
		return 0, err
	}
	if math.IsNaN(x) || math.IsNaN(y) {
		return missing, nil
	}

	switch e.Op {
	case token.ADD:
		return x + y, nil
	case token.SUB:
		return x - y, nil
	case token.MUL:
		return x * y, nil
	case token.QUO:
		return x / y, nil
	case token.GTR:
		return truth(x > y), nil
	case token.LSS:
		return truth(x < y), nil
	case token.LAND:
		return truth(x != 0 && y != 0), nil
	}
	return 0, fmt.Errorf("%s is not modelled", e.Op)
}

func truth(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

func (v values) call(e *ast.CallExpr) (float64, error) {
	name, ok := e.Fun.(*ast.Ident)
	if !ok {
		return 0, fmt.Errorf("%T cannot be called", e.Fun)
	}
	arguments := make([]float64, len(e.Args))
	for n, argument := range e.Args {
		value, err := v.of(argument)
		if err != nil {
			return 0, err
		}
		arguments[n] = value
	}

	switch {
	case name.Name == "CEIL" && len(arguments) == 1:
		return math.Ceil(arguments[0]), nil
	case name.Name == "FILL" && len(arguments) == 2:
		if math.IsNaN(arguments[0]) {
			return arguments[1], nil
		}
		return arguments[0], nil
	case name.Name == "IF" && len(arguments) == 3:
		switch {
		case math.IsNaN(arguments[0]):
			return missing, nil
		case arguments[0] != 0:
			return arguments[1], nil
		}
		return arguments[2], nil
	}
	return 0, fmt.Errorf("%s of %d is not modelled", name.Name, len(arguments))
}
