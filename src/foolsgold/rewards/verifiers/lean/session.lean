import Lean

/-!
Proof states of Lean over standard input and output, one JSON object a line.

    {"do": "start", "type": "∀ (p : Prop), p → p", "binders": 1}  ->  {"id": 0, "goals": ["p : Prop\n⊢ p → p"]}
    {"do": "apply", "id": 0, "tactic": "exact id"}                ->  {"id": 1, "goals": []}
    {"do": "finish", "id": 1}                                     ->  {"proved": true}
    {"do": "forget"}                                              ->  {}

What goes wrong comes back as {"error": …}. Replies begin with the word that the program was started with, which no
tactic knows. States are values: any of them can be gone on from.

`finish` believes nothing that a tactic did: the proof, and each lemma that tactics have made on the way, is checked by
the kernel in the environment as it was before the first tactic.

The library of the WebAssembly build holds only what modules export, so code here may not call what is defined by
private helpers, such as `for`, `Array.map` or `++` of lists.
-/

open Lean Elab Meta

/-- Where a proof has come to. -/
public structure Proof where
  core : Core.State
  metaState : Meta.State
  term : Term.State
  root : MVarId
  goals : List MVarId

public structure Session where
  base : Environment
  proofs : Array Proof

public def text (x : Json) (key : String) : String :=
  match x.getObjVal? key with
  | .ok (.str s) => s
  | _ => ""

public def number (x : Json) (key : String) : Nat :=
  match x.getObjVal? key with
  | .ok v => match v.getNat? with
    | .ok n => n
    | _ => 0
  | _ => 0

public def failed (message : String) : Json := Json.mkObj [("error", Json.str message)]

public def appended (front back : List α) : List α :=
  match front with
  | [] => back
  | x :: rest => x :: appended rest back

public def shown (goals : List MVarId) : MetaM (List Json) := do
  match goals with
  | [] => return []
  | goal :: rest =>
    let first ← Meta.ppGoal goal
    return Json.str (toString first) :: (← shown rest)

public def firstError (messages : List Message) : IO (Option String) := do
  match messages with
  | [] => return none
  | m :: rest => if m.severity == .error then return some (← m.data.toString) else firstError rest

/-- Runs `x` from a proof's state; the state after it, with what it returns. -/
public def run (proof : Proof) (heartbeats : Nat) (x : TermElabM (List MVarId × List Json)) :
    IO (Except String (Proof × List Json)) := do
  let now ← IO.getNumHeartbeats
  let context : Core.Context := {
    fileName := "<tactic>", fileMap := default, options := {},
    maxHeartbeats := heartbeats * 1000, initHeartbeats := now }
  let core ← IO.mkRef { proof.core with messages := {} }
  let metaState ← IO.mkRef proof.metaState
  let term ← IO.mkRef proof.term
  match (← EIO.toBaseIO (x {} term {} metaState context core)) with
  | .error e => return .error (← e.toMessageData.toString)
  | .ok (goals, json) =>
    let core ← core.get
    match (← firstError core.messages.toList) with
    | some message => return .error message
    | none =>
      return .ok ({ proof with core, metaState := ← metaState.get, term := ← term.get, goals }, json)

/-- The theorem's goal, with its first binders introduced. -/
public def opened (root : IO.Ref MVarId) (type : Syntax) (binders : Nat) : TermElabM (List MVarId × List Json) := do
  let type ← Term.elabType type
  Term.synthesizeSyntheticMVarsNoPostponing
  let type ← instantiateMVars type
  if type.hasMVar || type.hasSorry then throwError "the type has holes"
  let goal ← mkFreshExprSyntheticOpaqueMVar type
  root.set goal.mvarId!
  let (_, goal) ← goal.mvarId!.introNP binders
  return ([goal], ← shown [goal])

/-- A tactic on the first goal. -/
public def stepped (goals : List MVarId) (tactic : Syntax) : TermElabM (List MVarId × List Json) := do
  match goals with
  | [] => throwError "no goals"
  | goal :: others =>
    let new ← Tactic.run goal (fun a b c d e f g h => Tactic.evalTactic tactic a b c d e f g h)
    Term.synthesizeSyntheticMVarsNoPostponing
    let goals := appended new others
    return (goals, ← shown goals)

public def unsound (name : Name) : Bool :=
  name == ``sorryAx || name == ``Lean.ofReduceBool || name == ``Lean.ofReduceNat || name == ``Lean.trustCompiler

/-- `checked` with a declaration more, if the kernel takes it. -/
public def kernel (checked : Environment) (declaration : Declaration) : Except String Environment :=
  match checked.addDeclCore 0 declaration none with
  | .ok checked => .ok checked
  | .error _ => .error "the kernel does not accept the proof"

mutual
/-- `checked` with all that `e` is made of: theorems and definitions that tactics have added to `made`. -/
public partial def withParts (made checked : Environment) (e : Expr) : Except String Environment :=
  withNames made checked e.getUsedConstants 0

public partial def withNames (made checked : Environment) (names : Array Name) (i : Nat) : Except String Environment :=
  if h : i < names.size then
    match withName made checked names[i] with
    | .ok checked => withNames made checked names (i + 1)
    | .error e => .error e
  else .ok checked

public partial def withName (made checked : Environment) (name : Name) : Except String Environment :=
  if unsound name then .error ("it rests on " ++ name.toString)
  else if checked.contains name then .ok checked
  else match made.find? name with
  | some (.thmInfo v) => withBoth made checked v.type v.value (.thmDecl v)
  | some (.defnInfo v) => withBoth made checked v.type v.value (.defnDecl v)
  | _ => .error ("it rests on " ++ name.toString)

public partial def withBoth (made checked : Environment) (type value : Expr) (declaration : Declaration) :
    Except String Environment :=
  match withParts made checked type with
  | .error e => .error e
  | .ok checked => match withParts made checked value with
    | .error e => .error e
    | .ok checked => kernel checked declaration
end

/-- The kernel's word on a proof without goals. -/
public def judged (base : Environment) (proof : Proof) : TermElabM (List MVarId × List Json) := do
  let value ← instantiateMVars (mkMVar proof.root)
  let type ← instantiateMVars (← proof.root.getType)
  if value.hasMVar then throwError "a part of the proof is missing"
  let theorem_ : Declaration := .thmDecl { name := `the_theorem, levelParams := [], type, value }
  match withBoth (← getEnv) base type value theorem_ with
  | .error e => throwError e
  | .ok _ => return ([], [])

public def added (session : Session) (result : Except String (Proof × List Json)) : Session × Json :=
  match result with
  | .error message => (session, failed message)
  | .ok (proof, goals) =>
    ({ session with proofs := session.proofs.push proof },
      Json.mkObj [("id", toJson session.proofs.size), ("goals", Json.arr goals.toArray)])

public def start (session : Session) (asked : Json) : IO (Session × Json) := do
  match Parser.runParserCategory session.base `term (text asked "type") with
  | .error message => return (session, failed message)
  | .ok type =>
    let root ← IO.mkRef (default : MVarId)
    let core : Core.State := { env := session.base, ngen := {}, messages := {}, infoState := {} }
    let empty : Proof := { core, metaState := {}, term := {}, root := default, goals := [] }
    match (← run empty (number asked "heartbeats") (opened root type (number asked "binders"))) with
    | .error message => return (session, failed message)
    | .ok (proof, goals) => return added session (.ok ({ proof with root := ← root.get }, goals))

public def apply (session : Session) (proof : Proof) (asked : Json) : IO (Session × Json) := do
  match Parser.runParserCategory session.base `tactic ("(\n" ++ text asked "tactic" ++ "\n)") with
  | .error message => return (session, failed ("syntax: " ++ message))
  | .ok tactic => return added session (← run proof (number asked "heartbeats") (stepped proof.goals tactic))

public def finish (session : Session) (proof : Proof) (asked : Json) : IO Json := do
  match proof.goals with
  | _ :: _ => return failed "goals are left"
  | [] => match (← run proof (number asked "heartbeats") (judged session.base proof)) with
    | .error message => return failed message
    | .ok _ => return Json.mkObj [("proved", Json.bool true)]

public def answered (session : Session) (asked : Json) : IO (Session × Json) := do
  match text asked "do" with
  | "start" => start session asked
  | "forget" => return ({ session with proofs := #[] }, Json.mkObj [])
  | what =>
    let i := number asked "id"
    if h : i < session.proofs.size then
      if what == "finish" then return (session, ← finish session session.proofs[i] asked)
      else apply session session.proofs[i] asked
    else return (session, failed "no such state")

public partial def loop (secret : String) (stdin stdout : IO.FS.Stream) (session : Session) : IO Unit := do
  let line ← stdin.getLine
  if line.isEmpty then return ()
  let (session, reply) ← match Json.parse line with
    | .error message => pure (session, failed message)
    | .ok asked => try answered session asked catch e => pure (session, failed (toString e))
  stdout.putStrLn (secret ++ reply.compress)
  stdout.flush
  loop secret stdin stdout session

public def main (arguments : List String) : IO UInt32 := do
  let secret := match arguments with
    | secret :: _ => secret
    | [] => ""
  let base ← importModules (loadExts := true) (level := .exported) #[{ module := `Init }] {}
  let stdout ← IO.getStdout
  stdout.putStrLn (secret ++ (Json.mkObj [("version", Json.str Lean.versionString)]).compress)
  stdout.flush
  loop secret (← IO.getStdin) stdout { base, proofs := #[] }
  return 0
